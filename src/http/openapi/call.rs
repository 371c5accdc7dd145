//! A call, as both APIs describe theirs, and the calls that every server answers.

use std::collections::BTreeMap;

use utoipa::openapi::path::{Operation, Parameter, ParameterIn};
use utoipa::openapi::request_body::RequestBody;
use utoipa::openapi::schema::Object;
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{
    Content, Header, HttpMethod, RefOr, Required, Response, ResponseBuilder, Responses, Schema, Type,
};

use super::schema::{reference, whole};
use crate::api::{PROBLEM_MEDIA_TYPE, Token};

pub(super) const JSON: &str = "application/json";
pub(super) const TEXT: &str = "text/plain; charset=utf-8";

pub(super) const NEVER: &str = "no-store";
pub(super) const FOREVER: &str = "public, max-age=31536000, immutable";
pub(super) const HOUR: &str = "public, max-age=3600";

/// One method on one path.
pub(super) struct Call {
    pub(super) method: HttpMethod,
    pub(super) path: &'static str,
    id: &'static str,
    tag: &'static str,
    about: &'static str,
    parameters: Vec<Parameter>,
    /// The media type of the request's body, and what it is.
    body: Option<(&'static str, RefOr<Schema>)>,
    /// Status, and what it means.
    answers: Vec<(u16, &'static str)>,
    /// What an answer may be; nothing where it has no body.
    content: Vec<(&'static str, RefOr<Schema>)>,
    /// Headers of answers with this status: name, and what it says.
    headers: Vec<(u16, &'static str, &'static str)>,
    /// What the caller has to show: one of these.
    credentials: Vec<&'static str>,
    cache: &'static str,
    refusals: Vec<Token>,
}

impl Call {
    /// A call that reads.
    pub(super) fn get(path: &'static str, id: &'static str, tag: &'static str, about: &'static str) -> Self {
        Self {
            method: HttpMethod::Get,
            path,
            id,
            tag,
            about,
            parameters: Vec::new(),
            body: None,
            answers: vec![(200, "The answer.")],
            content: vec![(JSON, Object::with_type(Type::Object).into())],
            headers: Vec::new(),
            credentials: Vec::new(),
            cache: NEVER,
            refusals: Vec::new(),
        }
    }

    /// A call that changes something.
    pub(super) fn post(path: &'static str, id: &'static str, tag: &'static str, about: &'static str) -> Self {
        Self { method: HttpMethod::Post, ..Self::get(path, id, tag, about) }
    }

    /// A call that takes something away.
    pub(super) fn delete(path: &'static str, id: &'static str, tag: &'static str, about: &'static str) -> Self {
        Self { method: HttpMethod::Delete, ..Self::get(path, id, tag, about) }
    }

    /// With this JSON in the request.
    pub(super) fn takes(mut self, schema: &'static str) -> Self {
        self.body = Some((JSON, reference(schema).into()));
        self
    }

    /// With a file of this type in the request.
    pub(super) fn takes_file(mut self, media: &'static str) -> Self {
        self.body = Some((media, Object::with_type(Type::String).into()));
        self
    }

    /// With JSON in the answer.
    pub(super) fn json(mut self, schema: &str, cache: &'static str) -> Self {
        (self.content, self.cache) = (vec![(JSON, reference(schema).into())], cache);
        self
    }

    /// With a JSON object in the answer that others have described.
    pub(super) fn object(mut self, cache: &'static str) -> Self {
        (self.content, self.cache) = (vec![(JSON, Object::with_type(Type::Object).into())], cache);
        self
    }

    /// With a file in the answer, of one of these types.
    pub(super) fn files(mut self, media: &[&'static str], cache: &'static str) -> Self {
        self.content = media.iter().map(|media| (*media, Object::with_type(Type::String).into())).collect();
        self.cache = cache;
        self
    }

    /// With a file in the answer.
    pub(super) fn file(self, media: &'static str, cache: &'static str) -> Self {
        self.files(&[media], cache)
    }

    /// With these answers: status, and what it means.
    pub(super) fn answers(mut self, answers: impl IntoIterator<Item = (u16, &'static str)>) -> Self {
        self.answers = answers.into_iter().collect();
        self
    }

    /// With a header in the answers of this status.
    pub(super) fn header(mut self, status: u16, name: &'static str, about: &'static str) -> Self {
        self.headers.push((status, name, about));
        self
    }

    /// For those only who show this.
    pub(super) fn needs(mut self, credential: &'static str) -> Self {
        self.credentials = vec![credential];
        self
    }

    /// Or for those who show this instead.
    pub(super) fn or_needs(mut self, credential: &'static str) -> Self {
        self.credentials.push(credential);
        self
    }

    /// With a query parameter.
    pub(super) fn query(mut self, name: &str, schema: &str, required: Required, about: &str) -> Self {
        let parameter = Parameter::builder()
            .name(name)
            .parameter_in(ParameterIn::Query)
            .required(required)
            .schema(Some(reference(schema)))
            .description(Some(about));
        self.parameters.push(parameter.build());
        self
    }

    /// With a part of the path.
    pub(super) fn part(mut self, name: &str, schema: Object, about: &str) -> Self {
        let parameter = Parameter::builder()
            .name(name)
            .parameter_in(ParameterIn::Path)
            .required(Required::True)
            .schema(Some(schema))
            .description(Some(about));
        self.parameters.push(parameter.build());
        self
    }

    /// With refusals.
    pub(super) fn refuses(mut self, tokens: impl IntoIterator<Item = Token>) -> Self {
        self.refusals.extend(tokens);
        self
    }

    /// What it may be refused with.
    pub(super) fn refusals(&self) -> &[Token] {
        &self.refusals
    }

    /// The call as OpenAPI has it.
    pub(super) fn operation(self) -> Operation {
        let mut responses = Responses::builder();
        for (status, about) in &self.answers {
            let mut answer = Response::builder().description(*about);
            for (media, schema) in self.content.iter().filter(|_| *status != 204) {
                answer = answer.content(*media, Content::new(Some(schema.clone())));
            }
            for (_, name, about) in self.headers.iter().filter(|(of, ..)| of == status) {
                answer = answer.header(*name, text_header(about));
            }
            responses = responses.response(status.to_string(), headers(answer, self.cache, *status));
        }
        for (status, tokens) in by_status(&self.refusals) {
            responses = responses.response(status.to_string(), refusal(status, &tokens));
        }
        let body = self.body.map(|(media, schema)| {
            let content = Content::new(Some(schema));
            RequestBody::builder().content(media, content).required(Some(Required::True)).build()
        });
        let shown = self.credentials.iter().map(|name| SecurityRequirement::new(*name, Vec::<String>::new()));
        let shown = (!self.credentials.is_empty()).then(|| shown.collect::<Vec<_>>());
        Operation::builder()
            .securities(shown)
            .operation_id(Some(self.id))
            .tag(self.tag)
            .summary(Some(self.about))
            .parameters(Some(self.parameters))
            .request_body(body)
            .responses(responses.build())
            .build()
    }
}

/// What every server answers to those who run it; `ready` says what it is ready for.
pub(super) fn operating(ready: &'static str) -> Vec<Call> {
    let operate = |path, id, about| Call::get(path, id, "operate", about);
    let metrics = "Measurements for Prometheus; not here where they have a listener of their own.";
    vec![
        operate("/healthz", "healthz", "Whether the process answers.").file(TEXT, NEVER),
        operate("/readyz", "readyz", ready)
            .answers([(200, "It could."), (503, "It could not; the checks say why.")])
            .json("Readiness", NEVER),
        operate("/metrics", "metrics", metrics)
            .file("text/plain; version=0.0.4; charset=utf-8", NEVER)
            .refuses([Token::Internal]),
        Call { cache: HOUR, ..operate("/openapi.json", "openapi", "This document.") },
    ]
}

fn by_status(tokens: &[Token]) -> BTreeMap<u16, Vec<Token>> {
    let mut statuses: BTreeMap<u16, Vec<Token>> = BTreeMap::new();
    for token in tokens {
        statuses.entry(token.status()).or_default().push(*token);
    }
    statuses
}

fn refusal(status: u16, tokens: &[Token]) -> Response {
    let lines: Vec<_> = tokens.iter().map(|token| format!("`{token}`: {}.", token.title())).collect();
    let content = Content::new(Some(reference("Problem")));
    let answer = Response::builder().description(lines.join("\n\n")).content(PROBLEM_MEDIA_TYPE, content);
    let answer = headers(answer, NEVER, status);
    if tokens.contains(&Token::HashUnknown) {
        return retry(answer, "Seconds to the head that covers the hash, where it is logged already.").build();
    }
    answer.build()
}

/// The headers that an answer of this status has.
fn headers(answer: ResponseBuilder, cache: &str, status: u16) -> ResponseBuilder {
    let answer = answer.header("Cache-Control", text_header(cache));
    let answer = match status {
        401 => answer.header("WWW-Authenticate", text_header("The kind of credential that is missing.")),
        _ => answer,
    };
    if matches!(status, 429 | 503) { retry(answer, "Seconds to wait before the next try.") } else { answer }
}

fn text_header(about: &str) -> Header {
    Header::builder().schema(Some(Object::with_type(Type::String))).description(Some(about)).build()
}

fn retry(answer: ResponseBuilder, about: &str) -> ResponseBuilder {
    let header = Header::builder().schema(Some(whole(about))).description(Some(about)).build();
    answer.header("Retry-After", header)
}
