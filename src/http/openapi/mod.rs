//! The APIs described for machines: OpenAPI 3.1, served at `/openapi.json`.
//!
//! For each of them `calls` says what each path takes and answers, `schemas` what the JSON in it is
//! made of. A test holds both to the routes and to real answers, so the description cannot drift.

pub mod ca;
mod call;
pub mod log;
mod schema;
pub mod trust;

use utoipa::openapi::security::SecurityScheme;
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{Components, Info, License, OpenApi, OpenApiBuilder, Paths, Schema, Server};

use self::call::Call;
use crate::api::Token;

/// What one API consists of.
struct Api {
    title: &'static str,
    about: &'static str,
    /// The groups of calls, each with what it is for.
    tags: &'static [(&'static str, &'static str)],
    calls: Vec<Call>,
    schemas: Vec<(&'static str, Schema)>,
    /// What callers may have to show, by name.
    credentials: Vec<(&'static str, SecurityScheme)>,
}

impl Api {
    fn document(self) -> OpenApi {
        let info = Info::builder()
            .title(self.title)
            .version(env!("CARGO_PKG_VERSION"))
            .description(Some(self.about))
            .license(Some(License::builder().name("Apache-2.0").identifier(Some("Apache-2.0")).build()))
            .build();
        let tag = |(name, about): (&str, &str)| TagBuilder::new().name(name).description(Some(about)).build();
        let schemas = schema::shared(&self.tokens()).into_iter().chain(self.schemas);
        let components = schemas.fold(Components::builder(), |all, (name, schema)| all.schema(name, schema));
        let components =
            self.credentials.into_iter().fold(components, |all, (name, scheme)| all.security_scheme(name, scheme));
        let mut paths = Paths::new();
        for call in self.calls {
            paths.add_path_operation(call.path, vec![call.method.clone()], call.operation());
        }
        OpenApiBuilder::new()
            .info(info)
            // Relative to where this document is, so that it holds behind a proxy's path too.
            .servers(Some([Server::new(".")]))
            .paths(paths)
            .components(Some(components.build()))
            .tags(Some(self.tags.iter().copied().map(tag)))
            .build()
    }

    /// The tokens that a client may meet: those of some call, and those of any path.
    fn tokens(&self) -> Vec<Token> {
        let anywhere = [Token::NotFound, Token::MethodNotAllowed];
        let met = |token: &Token| anywhere.contains(token) || self.calls.iter().any(|c| c.refusals().contains(token));
        Token::ALL.iter().copied().filter(met).collect()
    }
}
