//! How far a structure in DER reads, and in which field it stops.
//!
//! The parsers say what is wrong. This says where: it walks the octets along a description of the structure,
//! goes on where an element is cut off, and keeps what was read until then.

use std::fmt;

use der::Decode;
use der::asn1::{GeneralizedTime, UtcTime};

use super::outline::{Element, Elements, tag_name};
use super::schema::extension_name;
use crate::apki::tlv;

/// Most values that are kept.
const MOST_VALUES: usize = 64;

/// A field of a structure.
#[derive(Debug)]
pub struct Field {
    /// Its name in the ASN.1 module.
    pub name: &'static str,
    /// The tags that it may have.
    pub tags: &'static [u8],
    /// Whether it may be left out.
    pub optional: bool,
    /// What is in it.
    pub inside: Inside,
}

/// What is in a field.
#[derive(Debug)]
pub enum Inside {
    /// A value, or a structure whose fields have no names here.
    Value,
    /// A time, as its tag has it.
    Time,
    /// Fields in their order.
    Fields(&'static [Field]),
    /// Any number of elements of one kind.
    Each(&'static Field),
    /// One element, which needs no name of its own: an explicit tag, or an OCTET STRING with DER in it.
    Only(&'static Field),
}

impl Field {
    /// A value.
    pub const fn value(name: &'static str, tags: &'static [u8]) -> Self {
        Self { name, tags, optional: false, inside: Inside::Value }
    }

    /// A SEQUENCE of these fields.
    pub const fn sequence(name: &'static str, fields: &'static [Self]) -> Self {
        Self { name, tags: &[tlv::SEQUENCE], optional: false, inside: Inside::Fields(fields) }
    }

    /// A SEQUENCE of any number of these.
    pub const fn list(name: &'static str, each: &'static Self) -> Self {
        Self { name, tags: &[tlv::SEQUENCE], optional: false, inside: Inside::Each(each) }
    }

    /// A field in a tag or a string of its own.
    pub const fn only(name: &'static str, tags: &'static [u8], inner: &'static Self) -> Self {
        Self { name, tags, optional: false, inside: Inside::Only(inner) }
    }

    /// The same under another tag.
    pub const fn tagged(self, tags: &'static [u8]) -> Self {
        Self { tags, ..self }
    }

    /// The same, which may be left out.
    pub const fn optional(self) -> Self {
        Self { optional: true, ..self }
    }
}

/// Where reading ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// The field, by the names of those that it stands in.
    pub field: String,
    /// The octet, from 0.
    pub at: usize,
    /// What is wrong there.
    pub why: String,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it stops in {}, at octet {}: {}", self.field, self.at, self.why)
    }
}

/// What a walk found.
#[derive(Clone, Debug, Default)]
pub struct Trace<'a> {
    /// The largest parts that read to their end, as parent and name.
    done: Vec<(String, String)>,
    /// Values that were read, by their path.
    values: Vec<(String, &'a [u8])>,
    /// Octets that are missing at the end.
    missing: usize,
    /// Where it stops, unless it reads to the end.
    pub stop: Option<Stop>,
}

impl<'a> Trace<'a> {
    /// Walks `der` along `field`.
    pub fn of(der: &'a [u8], field: &Field) -> Self {
        let mut trace = Self::default();
        trace.stop = trace.walk(der, field).err();
        trace
    }

    /// The element of the value at `path`, where it was read.
    pub fn value(&self, path: &str) -> Option<&'a [u8]> {
        self.values.iter().find(|(known, _)| known == path).map(|(_, octets)| *octets)
    }

    /// What was read, in words; empty where nothing was.
    pub fn read(&self) -> String {
        let mut words = String::new();
        let mut parent = None;
        for (of, name) in &self.done {
            match parent {
                Some(last) if last == of => words.push_str(", "),
                None => words.push_str(of),
                Some(_) => {
                    words.push_str("; ");
                    words.push_str(of);
                }
            }
            if parent != Some(of) && !of.is_empty() {
                words.push_str(" > ");
            }
            words.push_str(name);
            parent = Some(of);
        }
        words
    }

    fn walk(&mut self, der: &'a [u8], field: &Field) -> Result<(), Stop> {
        let mut elements = Elements::new(der, 0);
        let first = self.next(&mut elements, "")?;
        let first = first.ok_or_else(|| stop("the first octet", 0, "there is nothing"))?;
        self.missing = first.missing;
        if !field.tags.contains(&first.tag) {
            return Err(stop("the first octet", 0, &wrong_tag(field, first.tag)));
        }
        self.inside(first, field, "")?;
        match elements.left() {
            0 => Ok(()),
            left => Err(stop("what stands behind it", elements.at(), &format!("{left} octets do not belong to it"))),
        }
    }

    fn next(&self, elements: &mut Elements<'a>, path: &str) -> Result<Option<Element<'a>>, Stop> {
        let at = elements.at();
        let place = if path.is_empty() { "the first octet" } else { path };
        elements.element().map_err(|why| match self.missing {
            0 => stop(place, at, &why.to_string()),
            missing => self.cut(place, at, missing),
        })
    }

    fn cut(&self, path: &str, at: usize, missing: usize) -> Stop {
        let why = match self.missing {
            0 => format!("it says that it is {missing} octets longer than what it stands in"),
            all => format!("the input ends there, and {all} octets are missing"),
        };
        stop(path, at, &why)
    }

    /// Reads an element whose tag is one of the field's. `path` is that of the field, and empty for the whole.
    fn inside(&mut self, element: Element<'a>, field: &Field, path: &str) -> Result<(), Stop> {
        let checked = |check: Result<(), tlv::DerError>| check.map_err(|e| stop(path, element.at, &e.to_string()));
        let whole = |trace: &Self| match (element.missing, &field.inside) {
            (0, _) => Ok(()),
            (missing, Inside::Value | Inside::Time) => Err(trace.cut(path, element.at, missing)),
            // What is in it was read, up to its end.
            (missing, _) => Err(trace.cut(path, element.at + element.whole.len(), missing)),
        };
        let mut content = Elements::new(element.content, element.content_at);
        match &field.inside {
            Inside::Value => whole(self).and_then(|()| checked(tlv::check(element.whole)))?,
            Inside::Time => {
                whole(self)?;
                checked(tlv::check(element.whole))?;
                if !is_time(&element, field) {
                    return Err(stop(path, element.at, &tlv::DerError::Time.to_string()));
                }
            }
            Inside::Fields(fields) => self.fields(content, fields, path).and_then(|()| whole(self))?,
            Inside::Each(each) => self.each(content, each, path).and_then(|()| whole(self))?,
            Inside::Only(inner) => {
                if let Some(element) = self.expect(&mut content, inner, path)? {
                    self.inside(element, inner, path)?;
                }
                self.end(&content, path).and_then(|()| whole(self))?;
            }
        }
        let is_value = matches!(field.inside, Inside::Value | Inside::Time);
        if is_value && self.values.len() < MOST_VALUES {
            self.values.push((path.to_owned(), element.whole));
        }
        Ok(())
    }

    fn fields(&mut self, mut elements: Elements<'a>, fields: &[Field], path: &str) -> Result<(), Stop> {
        for field in fields {
            let below = under(path, field.name);
            if let Some(element) = self.expect(&mut elements, field, &below)? {
                self.one(element, field, path, field.name)?;
            }
        }
        self.end(&elements, path)
    }

    fn each(&mut self, mut elements: Elements<'a>, each: &Field, path: &str) -> Result<(), Stop> {
        let (before, mut number) = (self.done.len(), 1);
        while elements.left() > 0 {
            let mut name = format!("{} {number}", each.name);
            let Some(element) = self.expect(&mut elements, each, &under(path, &name))? else { break };
            if each.name == "extension"
                && let Some(known) = extension_name(Elements::new(element.content, 0))
            {
                name = format!("{name} ({known})");
            }
            self.one(element, each, path, &name)?;
            // One line for all of them: a list may have very many.
            if number > 1 {
                self.done.truncate(before);
                self.done.push((path.to_owned(), format!("{} 1 to {number}", each.name)));
            }
            number += 1;
        }
        Ok(())
    }

    /// The next element, which must be the field; `None` where the field may be left out, and is.
    fn expect(&self, elements: &mut Elements<'a>, field: &Field, path: &str) -> Result<Option<Element<'a>>, Stop> {
        match elements.peek() {
            Some(tag) if field.tags.contains(&tag) => self.next(elements, path),
            _ if field.optional => Ok(None),
            Some(tag) => Err(stop(path, elements.at(), &wrong_tag(field, tag))),
            None if self.missing > 0 => Err(self.cut(path, elements.at(), self.missing)),
            None => Err(stop(path, elements.at(), "it is missing")),
        }
    }

    /// Nothing more is there.
    fn end(&self, elements: &Elements<'a>, path: &str) -> Result<(), Stop> {
        let Some(tag) = elements.peek() else { return Ok(()) };
        Err(stop(path, elements.at(), &format!("{} stands where nothing more belongs", tag_name(tag))))
    }

    /// Reads one field of the structure at `path`.
    fn one(&mut self, element: Element<'a>, field: &Field, path: &str, name: &str) -> Result<(), Stop> {
        let before = self.done.len();
        self.inside(element, field, &under(path, name))?;
        // What it is made of is done with it.
        self.done.truncate(before);
        self.done.push((path.to_owned(), name.to_owned()));
        Ok(())
    }
}

fn stop(field: &str, at: usize, why: &str) -> Stop {
    let field = if field.is_empty() { "the whole" } else { field };
    Stop { field: field.to_owned(), at, why: why.to_owned() }
}

fn under(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path} > {name}") }
}

fn wrong_tag(field: &Field, found: u8) -> String {
    let wanted: Vec<String> = field.tags.iter().map(|tag| tag_name(*tag)).collect();
    format!("{} stands where {} {} belongs", tag_name(found), field.name, wanted.join(" or "))
}

/// Whether this is a real moment since 1970 in the one form that DER has. Where both kinds of time may stand,
/// years through 2049 are told in two digits (RFC 5280 section 4.1.2.5).
fn is_time(element: &Element<'_>, field: &Field) -> bool {
    match element.tag {
        tlv::UTC_TIME => UtcTime::from_der(element.whole).is_ok(),
        _ => {
            let short = field.tags.contains(&tlv::UTC_TIME) && element.content < b"2050".as_slice();
            !short && GeneralizedTime::from_der(element.whole).is_ok()
        }
    }
}

#[cfg(test)]
mod tests;
