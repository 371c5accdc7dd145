//! What both APIs build schemas of, and the schemas that both have.

use utoipa::openapi::schema::{Array, Object, ObjectBuilder, SchemaFormat, SchemaType};
use utoipa::openapi::{Ref, RefOr, Schema, Type};

use crate::api::Token;

pub(super) type Part = RefOr<Schema>;

/// Whether a member is always there.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Presence {
    Always,
    Sometimes,
}

use Presence::{Always, Sometimes};

/// What every server has; `tokens` are those that its refusals name.
pub(super) fn shared(tokens: &[Token]) -> Vec<(&'static str, Schema)> {
    let types = tokens.iter().map(|token| format!("{}{token}", token.prefix()));
    let kind =
        Object::builder().schema_type(Type::String).description(Some("What went wrong, for programs.")).examples(types);
    let parts = Array::builder()
        .items(reference("Subproblem"))
        .description(Some("The reasons, where a refusal may have several (RFC 8555 section 6.7.1)."));
    let problem = [
        ("type", Always, kind.into()),
        ("title", Always, text("What went wrong, the same sentence for each type.")),
        ("detail", Always, text("What is wrong with this request, and what to do about it.")),
        ("status", Always, whole("The HTTP status.").into()),
        ("subproblems", Sometimes, parts.into()),
    ];
    let subproblem = [
        ("type", Always, text("The reason, for programs.")),
        ("rule", Sometimes, text("The rule of attenuation that is broken, where it is one, for programs.")),
        ("detail", Always, text("The reason, for people.")),
    ];
    let check = [
        ("name", Always, text("What was looked at.")),
        ("ok", Always, boolean("Whether it holds.")),
        ("detail", Always, text("What was found.")),
    ];
    let readiness = [
        ("ready", Always, boolean("Whether all of it holds.")),
        ("checks", Always, list("Check", "What that depends on.")),
    ];
    vec![
        ("Moment", whole("Milliseconds since the Unix epoch.").into()),
        ("Problem", object("A problem document (RFC 9457).", problem)),
        ("Subproblem", object("One reason of several.", subproblem)),
        ("Check", object("One thing that must hold for the server to be ready.", check)),
        ("Readiness", object("Whether the server is ready, and why not.", readiness)),
    ]
}

/// Octets, for the APIs that have some in their JSON.
pub(super) fn octet_string() -> (&'static str, Schema) {
    let octets = ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some("Octets in base64 with padding."))
        .content_encoding("base64");
    ("Octets", octets.build().into())
}

/// A non-negative whole number of up to 64 bits.
pub(super) fn whole(about: &str) -> Object {
    Object::builder()
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::Custom("uint64".into())))
        .minimum(Some(0))
        .description(Some(about))
        .build()
}

/// The schema of this name.
pub(super) fn reference(name: &str) -> Ref {
    Ref::from_schema_name(name)
}

pub(super) fn named(name: &str, about: &str) -> Part {
    Ref::builder().ref_location_from_schema_name(name).description(Some(about)).into()
}

pub(super) fn octets(about: &str) -> Part {
    named("Octets", about)
}

pub(super) fn text(about: &str) -> Part {
    Object::builder().schema_type(Type::String).description(Some(about)).into()
}

pub(super) fn boolean(about: &str) -> Part {
    Object::builder().schema_type(Type::Boolean).description(Some(about)).into()
}

pub(super) fn list(of: &str, about: &str) -> Part {
    Array::builder().items(reference(of)).description(Some(about)).into()
}

pub(super) fn object<'a>(about: &str, members: impl IntoIterator<Item = (&'a str, Presence, Part)>) -> Schema {
    let start = Object::builder().schema_type(SchemaType::new(Type::Object)).description(Some(about));
    let add = |object: ObjectBuilder, (name, presence, schema): (&str, Presence, Part)| {
        let object = object.property(name, schema);
        if presence == Always { object.required(name) } else { object }
    };
    members.into_iter().fold(start, add).build().into()
}
