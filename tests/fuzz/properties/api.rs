//! JSON bodies and query parameters.

use std::fmt::Debug;

use atl::api::ca::{
    self, AuditAnswer, CaDescriptor, CertificatesAnswer, DenyRequest, EnrolRequest, MintTokenAnswer, MintTokenRequest,
    RequestAnswer, RequestsAnswer, RequestsQuery,
};
use atl::api::{
    AnchorsResponse, CertHashQuery, ConsistencyQuery, ConsistencyResponse, EntriesQuery, EntriesResponse,
    LogDescriptor, MAX_BATCH_ENTRIES, MAX_CHAIN_READ, Problem, ProofAndHeadResponse, ProofQuery, ProofResponse,
    SthResponse, SubmitEntriesRequest, SubmitEntriesResponse, SubmitEntryRequest, SubmitEntryResponse, Token,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Requests as a server reads them, answers as a client does: what is read, written out and read
/// again is the same.
pub fn json(input: &[u8]) {
    match SubmitEntryRequest::from_json(input) {
        Ok(request) => same_request(&request),
        Err(problem) => refusal(&problem, &[Token::Malformed, Token::BadType]),
    }
    match SubmitEntriesRequest::split_json(input, usize::MAX) {
        Ok(requests) => batch(requests),
        Err(problem) => refusal(&problem, &[Token::Malformed]),
    }
    body(input, EnrolRequest::from_json);
    body(input, MintTokenRequest::from_json);
    if !input.is_empty() {
        body(input, DenyRequest::from_json);
    }
    answer::<Problem>(input);
    answer::<SubmitEntryResponse>(input);
    answer::<SubmitEntriesResponse>(input);
    answer::<SthResponse>(input);
    answer::<ConsistencyResponse>(input);
    answer::<ProofResponse>(input);
    answer::<ProofAndHeadResponse>(input);
    answer::<EntriesResponse>(input);
    answer::<AnchorsResponse>(input);
    answer::<LogDescriptor>(input);
    answer::<RequestAnswer>(input);
    answer::<RequestsAnswer>(input);
    answer::<MintTokenAnswer>(input);
    answer::<CertificatesAnswer>(input);
    answer::<AuditAnswer>(input);
    answer::<CaDescriptor>(input);
}

/// A body of the CA's calls.
fn body<T: Serialize + PartialEq + Debug>(input: &[u8], read: fn(&[u8]) -> Result<T, Problem>) {
    match read(input) {
        Ok(request) => assert_eq!(read(&serde_json::to_vec(&request).unwrap()).as_ref(), Ok(&request)),
        Err(problem) => refusal(&problem, &[Token::Malformed]),
    }
}

fn same_request(request: &SubmitEntryRequest) {
    assert!(request.chain.len() <= MAX_CHAIN_READ);
    let body = serde_json::to_vec(request).unwrap();
    assert_eq!(SubmitEntryRequest::from_json(&body).as_ref(), Ok(request));
}

fn batch(requests: Vec<Result<SubmitEntryRequest, Problem>>) {
    assert!(requests.len() <= MAX_BATCH_ENTRIES);
    let mut entries = Vec::new();
    for request in requests {
        match request {
            Ok(request) => entries.push(request),
            Err(problem) => refusal(&problem, &[Token::Malformed, Token::BadType]),
        }
    }
    let body = serde_json::to_vec(&SubmitEntriesRequest { entries: entries.clone() }).unwrap();
    let again: Result<Vec<_>, _> = SubmitEntriesRequest::split_json(&body, usize::MAX).unwrap().into_iter().collect();
    assert_eq!(again, Ok(entries));
}

fn answer<T: DeserializeOwned + Serialize + PartialEq + Debug>(input: &[u8]) {
    let Ok(value) = serde_json::from_slice::<T>(input) else { return };
    let text = serde_json::to_vec(&value).unwrap();
    assert_eq!(serde_json::from_slice::<T>(&text).unwrap(), value);
}

/// A refusal has one of these tokens, fits into an answer, and is read by a client as it was meant.
fn refusal(problem: &Problem, allowed: &[Token]) {
    assert!(allowed.contains(&problem.token().unwrap()), "{problem}");
    let text = serde_json::to_vec(problem).unwrap();
    assert!(text.len() < 4096, "{} octets to say no", text.len());
    assert_eq!(serde_json::from_slice::<Problem>(&text).unwrap(), *problem);
}

/// Query parameters: what is read is written in a spelling that reads the same.
pub fn query(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    match ConsistencyQuery::parse(text) {
        Ok(query) => {
            assert!(query.second.is_none_or(|second| second >= query.first));
            assert_eq!(ConsistencyQuery::parse(&query.to_query()), Ok(query));
        }
        Err(problem) => refusal(&problem, &[Token::Malformed, Token::SecondBeforeFirst]),
    }
    match ProofQuery::parse(text) {
        Ok(query) => assert_eq!(ProofQuery::parse(&query.to_query()), Ok(query)),
        Err(problem) => refusal(&problem, &[Token::Malformed]),
    }
    match EntriesQuery::parse(text) {
        Ok(query) => {
            assert!(query.start <= query.end);
            assert_eq!(EntriesQuery::parse(&query.to_query()), Ok(query));
        }
        Err(problem) => refusal(&problem, &[Token::Malformed, Token::EndBeforeStart]),
    }
    match CertHashQuery::parse(text) {
        Ok(query) => assert_eq!(CertHashQuery::parse(&query.to_query()), Ok(query)),
        Err(problem) => refusal(&problem, &[Token::Malformed]),
    }
    match RequestsQuery::parse(text) {
        Ok(query) => assert_eq!(RequestsQuery::parse(&query.to_query()), Ok(query)),
        Err(problem) => refusal(&problem, &[Token::Malformed]),
    }
    match ca::CertificatesQuery::parse(text) {
        Ok(query) => assert_eq!(ca::CertificatesQuery::parse(&query.to_query()), Ok(query)),
        Err(problem) => refusal(&problem, &[Token::Malformed]),
    }
    match ca::AuditQuery::parse(text) {
        Ok(query) => assert_eq!(ca::AuditQuery::parse(&query.to_query()), Ok(query)),
        Err(problem) => refusal(&problem, &[Token::Malformed]),
    }
}
