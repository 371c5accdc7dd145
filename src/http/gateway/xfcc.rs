//! Envoy's `X-Forwarded-Client-Cert`: elements separated by commas, one of each proxy on the way, each of
//! `Key=value` pairs separated by semicolons. A value with one of `,;=` in it stands in double quotes, in which a
//! double quote is escaped by a backslash.
//!
//! One element is taken, no more: the proxy that asks must set the header anew (`SANITIZE_SET`). Envoy writes names
//! out of a certificate (`URI`, `DNS`) as they stand there, and with a comma in one of them a stranger would begin an
//! element of its own. For the same reason a key that is there twice refuses the whole.

use sha2::{Digest, Sha256};

use super::certificate::{CertificateHeaderError, bounded, escaped_pem};

/// Most pairs that are read.
const MAX_PAIRS: usize = 256;

/// The certificates of the one element: the client's first, and those that it sent behind it where the proxy has
/// `Chain` set. In DER.
///
/// # Errors
/// [`CertificateHeaderError`]
pub fn from_envoy(value: &str) -> Result<Vec<Vec<u8>>, CertificateHeaderError> {
    use CertificateHeaderError::{Contradiction, Element, NoCert};
    bounded(value)?;
    let mut said = Said::default();
    let mut scanner = Scanner(value);
    for _ in 0..MAX_PAIRS {
        let (key, text) = scanner.pair()?;
        said.take(key, text)?;
        match scanner.separator()? {
            Some(Separator::Pair) => {}
            Some(Separator::Element) => {
                return Err(Element("there is more than one: the proxy has to set the header anew"));
            }
            None => {
                let cert = said.cert.map(|text| escaped_pem(&text)).transpose()?;
                let chain = said.chain.map(|text| escaped_pem(&text)).transpose()?;
                let found = match (cert, chain) {
                    (Some(cert), _) if cert.len() != 1 => return Err(Contradiction("Cert has more than one")),
                    (Some(cert), Some(chain)) if chain.first() != cert.first() => {
                        return Err(Contradiction("Chain begins with another certificate than Cert"));
                    }
                    (_, Some(chain)) => chain,
                    (Some(cert), None) => cert,
                    (None, None) => return Err(NoCert),
                };
                let hash = found.first().map(|leaf| hex::encode(Sha256::digest(leaf)));
                if said.hash.is_some_and(|stated| hash.is_none_or(|hash| !stated.eq_ignore_ascii_case(&hash))) {
                    return Err(Contradiction("Hash is not that of the certificate"));
                }
                return Ok(found);
            }
        }
    }
    Err(Element("there are too many of them"))
}

/// What counts of an element.
#[derive(Default)]
struct Said {
    hash: Option<String>,
    cert: Option<String>,
    chain: Option<String>,
}

impl Said {
    fn take(&mut self, key: &str, text: String) -> Result<(), CertificateHeaderError> {
        let place = if key.eq_ignore_ascii_case("Hash") {
            &mut self.hash
        } else if key.eq_ignore_ascii_case("Cert") {
            &mut self.cert
        } else if key.eq_ignore_ascii_case("Chain") {
            &mut self.chain
        } else {
            return Ok(());
        };
        match place.replace(text) {
            None => Ok(()),
            Some(_) => Err(CertificateHeaderError::Contradiction("a key is given twice")),
        }
    }
}

enum Separator {
    Pair,
    Element,
}

/// What is left to be read.
struct Scanner<'a>(&'a str);

impl<'a> Scanner<'a> {
    fn pair(&mut self) -> Result<(&'a str, String), CertificateHeaderError> {
        let refuse = CertificateHeaderError::Element;
        let (key, rest) = self.0.split_once('=').ok_or(refuse("there is a pair without `=`"))?;
        let key = key.trim_matches(' ');
        if key.is_empty() || !key.bytes().all(|c| c.is_ascii_alphanumeric()) {
            return Err(refuse("there is a key that is none"));
        }
        match rest.strip_prefix('"') {
            Some(quoted) => Ok((key, self.quoted(quoted)?)),
            None => {
                let end = rest.find([',', ';']).unwrap_or(rest.len());
                let (text, rest) = rest.split_at(end);
                self.0 = rest;
                // An `=` in a URI is written as it is by some versions.
                if text.contains('"') { Err(refuse("there is a quote within a value")) } else { Ok((key, text.into())) }
            }
        }
    }

    fn quoted(&mut self, text: &'a str) -> Result<String, CertificateHeaderError> {
        let mut value = String::new();
        let mut characters = text.char_indices();
        while let Some((place, c)) = characters.next() {
            match c {
                '"' => {
                    self.0 = text.get(place + 1..).unwrap_or_default();
                    return Ok(value);
                }
                '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
                other => value.push(other),
            }
        }
        Err(CertificateHeaderError::Element("there is a quote that does not end"))
    }

    /// What follows behind a pair; nothing at the end.
    fn separator(&mut self) -> Result<Option<Separator>, CertificateHeaderError> {
        let mut characters = self.0.chars();
        let found = match characters.next() {
            None => return Ok(None),
            Some(';') => Separator::Pair,
            Some(',') => Separator::Element,
            Some(_) => return Err(CertificateHeaderError::Element("there is text behind a quoted value")),
        };
        self.0 = characters.as_str();
        Ok(Some(found))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::certificate::tests::{escape, pem};
    use super::CertificateHeaderError::{Contradiction, Element, Escape, NoCert, Pem};
    use super::*;

    fn cert(der: &[u8]) -> String {
        format!("\"{}\"", escape(&pem(der)))
    }

    fn element(der: &[u8]) -> String {
        let hash = hex::encode(Sha256::digest(der));
        let subject = "Subject=\"CN=\\\"x\\\",O=a;b\"";
        format!("By=spiffe://front;Hash={hash};Cert={};{subject};URI=agent://a.example/b/c/d?x=1;DNS=a.b", cert(der))
    }

    #[test]
    fn one_element_counts_and_no_more_are_taken() {
        let (one, two) = (vec![0x30, 1, 0], vec![0x30, 1, 1]);
        let alone = [one.clone()];
        assert_eq!(from_envoy(&element(&one)).unwrap(), alone);
        let several = [
            format!("{},{}", element(&two), element(&one)),
            format!("{}, {}", element(&two), element(&one)),
            format!("Cert=junk,{}", element(&one)),
            // A stranger's certificate with a name that would go on as an element of its own.
            format!("{};URI=x,Cert={}", element(&two), cert(&one)),
            format!("{};DNS=x,Cert={}", element(&two), cert(&one)),
        ];
        for value in several {
            assert!(matches!(from_envoy(&value), Err(Element(_))), "{value}");
        }
        // Or as a pair.
        assert!(matches!(from_envoy(&format!("{};URI=x;Cert={}", element(&two), cert(&one))), Err(Contradiction(_))));
        let chain = format!("\"{}\"", escape(&[pem(&one), pem(&two)].concat()));
        let both = [one.clone(), two.clone()];
        assert_eq!(from_envoy(&format!("Chain={chain}")).unwrap(), both);
        assert_eq!(from_envoy(&format!("Cert={};Chain={chain}", cert(&one))).unwrap(), both);
        assert_eq!(from_envoy(&format!("Cert={}", escape(&pem(&one)))).unwrap(), alone);
    }

    #[test]
    fn quotes_do_not_end_where_a_client_wants() {
        let (one, two) = (vec![0x30, 1, 0], vec![0x30, 1, 1]);
        // The subject of a certificate that says something of another one.
        let inside = element(&two).replace('\\', "\\\\").replace('"', "\\\"");
        let value = format!("{};Subject=\"CN={inside}\"", element(&one));
        assert_eq!(from_envoy(&value).unwrap(), [one]);
    }

    #[test]
    fn what_is_malformed_is_refused() {
        let (one, two) = (vec![0x30, 1, 0], vec![0x30, 1, 1]);
        let (c1, c2) = (cert(&one), cert(&two));
        let cases: [(String, CertificateHeaderError); 16] = [
            (String::new(), Element("there is a pair without `=`")),
            ("Hash".into(), Element("there is a pair without `=`")),
            (format!("{},", element(&one)), Element("there is more than one: the proxy has to set the header anew")),
            (format!("{};", element(&one)), Element("there is a pair without `=`")),
            (format!("Cert={c1}x"), Element("there is text behind a quoted value")),
            (format!("Cert={}", &c1[..c1.len() - 1]), Element("there is a quote that does not end")),
            (format!("Cert=x{c1}"), Element("there is a quote within a value")),
            (format!("=x;Cert={c1}"), Element("there is a key that is none")),
            (format!("a b=x;Cert={c1}"), Element("there is a key that is none")),
            ("By=x;Hash=00".into(), NoCert),
            (
                format!("{},By=x", element(&one)),
                Element("there is more than one: the proxy has to set the header anew"),
            ),
            (format!("Cert={c1};cert={c2}"), Contradiction("a key is given twice")),
            (format!("Hash=00;Cert={c1}"), Contradiction("Hash is not that of the certificate")),
            (format!("Cert={c2};Chain={c1}"), Contradiction("Chain begins with another certificate than Cert")),
            ("Cert=\"%\"".into(), Escape),
            ("Cert=hello".into(), Pem),
        ];
        for (value, error) in cases {
            assert_eq!(from_envoy(&value), Err(error), "{value}");
        }
        let many = format!("{}Cert={c1}", "By=x;".repeat(MAX_PAIRS));
        assert_eq!(from_envoy(&many), Err(Element("there are too many of them")));
    }

    proptest! {
        #[test]
        fn nothing_stands_before_or_behind_the_one_element(other in "[A-Za-z]{1,9}=[^,\"]{0,40}") {
            let one = element(&[0x30, 1, 0]);
            for value in [format!("{other},{one}"), format!("{one},{other}")] {
                prop_assert!(from_envoy(&value).is_err(), "{}", value);
            }
        }

        #[test]
        fn no_text_makes_it_panic(value in ".{0,200}") {
            let _ = from_envoy(&value);
        }
    }
}
