//! Requests and answers of the two submitting calls (protocol section 5).
//!
//! `submit-entry` is the log's hot path: base64 is decoded from the body where it stands, and a
//! request that was read holds nothing but octets to judge.

use std::fmt;

use serde::de::{self, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::base64::B64;
use super::json::object;
use super::problem::{Problem, Token};
use crate::log::entry::EntryType;
use crate::merkle::{Hash, LeafIndex};
use crate::time::UnixMillis;

/// Most entries in one `submit-entries`.
pub const MAX_BATCH_ENTRIES: usize = 256;

/// Chain elements kept from a request. No log admits a chain nearly this long (ruling R9), so what
/// stands behind is skipped instead of held in memory; the chain stays too long, and is refused.
pub const MAX_CHAIN_READ: usize = 32;

/// `POST /atl/v1/submit-entry`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SubmitEntryRequest {
    /// DER of the certificate or precertificate.
    pub submission: B64,
    /// What it claims to be; `None` leaves it to the log to see.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub entry_type: Option<EntryType>,
    /// DER of the certificates that lead to an anchor, issuer first. The anchor may be left out,
    /// and an absent chain is an empty one.
    pub chain: Vec<B64>,
}

impl SubmitEntryRequest {
    /// Reads a request body. Unknown members are ignored.
    ///
    /// # Errors
    /// [`Token::BadType`] where `type` is an integer but neither 1 nor 2, else [`Token::Malformed`].
    pub fn from_json(body: &[u8]) -> Result<Self, Problem> {
        let wire: Wire = object("a submit-entry request", body)?;
        let entry_type = match wire.entry_type {
            None => None,
            Some(TypeClaim::Known(known)) => Some(known),
            Some(TypeClaim::Unknown(number)) => {
                let detail =
                    format!("`type` is {number}; say 1 for a certificate, 2 for a precertificate, or leave it out");
                return Err(Problem::new(Token::BadType, detail));
            }
        };
        Ok(Self { submission: wire.submission, entry_type, chain: wire.chain.unwrap_or_default().0 })
    }
}

/// `POST /atl/v1/submit-entries`, as a client sends it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SubmitEntriesRequest {
    /// At most [`MAX_BATCH_ENTRIES`] submissions.
    pub entries: Vec<SubmitEntryRequest>,
}

impl SubmitEntriesRequest {
    /// Reads a request body: each element is a request or its own problem, in order. An element
    /// of more than `limit` octets is [`Token::TooLarge`]: a batch takes in nothing that would be
    /// too large by itself.
    ///
    /// # Errors
    /// [`Token::Malformed`] where the body is not JSON, has no `entries` or more than
    /// [`MAX_BATCH_ENTRIES`].
    pub fn split_json(body: &[u8], limit: usize) -> Result<Vec<Result<SubmitEntryRequest, Problem>>, Problem> {
        #[derive(Deserialize)]
        struct Batch<'a> {
            #[serde(borrow)]
            entries: Elements<'a>,
        }
        let batch: Batch<'_> = object("a submit-entries request", body)?;
        let element = |raw: &&RawValue| {
            let octets = raw.get().as_bytes();
            if octets.len() > limit {
                let detail = format!("this entry has {} octets; one may have at most {limit}", octets.len());
                return Err(Problem::new(Token::TooLarge, detail));
            }
            SubmitEntryRequest::from_json(octets)
        };
        Ok(batch.entries.0.iter().map(element).collect())
    }
}

/// The answer to a submission that is in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubmitEntryResponse {
    /// DER of the signed agent timestamp.
    pub sat: B64,
    /// Where the leaf stands.
    pub leaf_index: LeafIndex,
    /// SHA-256 of the submitted DER: the leaf's data.
    pub cert_hash: Hash,
    /// The time in the SAT.
    pub timestamp: UnixMillis,
}

/// What became of one element of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SubmitResult {
    /// It is in the log.
    Logged(SubmitEntryResponse),
    /// It is not.
    Refused(Problem),
}

/// The answer to a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubmitEntriesResponse {
    /// One result for each entry, in the order of the request.
    pub results: Vec<SubmitResult>,
}

/// The members of a submission before `type` is judged.
#[derive(Deserialize)]
struct Wire {
    submission: B64,
    #[serde(rename = "type", default)]
    entry_type: Option<TypeClaim>,
    #[serde(default)]
    chain: Option<Chain>,
}

/// An integer in `type`: any other JSON value does not parse.
enum TypeClaim {
    Known(EntryType),
    Unknown(i128),
}

impl<'de> Deserialize<'de> for TypeClaim {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Integer;
        impl Visitor<'_> for Integer {
            type Value = TypeClaim;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the integer 1 or 2 in `type`")
            }

            fn visit_u64<E>(self, n: u64) -> Result<TypeClaim, E> {
                Ok(EntryType::from_number(n).map_or(TypeClaim::Unknown(n.into()), TypeClaim::Known))
            }

            fn visit_i64<E: de::Error>(self, n: i64) -> Result<TypeClaim, E> {
                u64::try_from(n).map_or_else(|_| Ok(TypeClaim::Unknown(n.into())), |n| self.visit_u64(n))
            }
        }
        deserializer.deserialize_any(Integer)
    }
}

/// The first [`MAX_CHAIN_READ`] elements of a chain.
#[derive(Default)]
struct Chain(Vec<B64>);

impl<'de> Deserialize<'de> for Chain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Certificates;
        impl<'de> Visitor<'de> for Certificates {
            type Value = Chain;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of base64 strings in `chain`")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Chain, A::Error> {
                let mut chain = Vec::new();
                while chain.len() < MAX_CHAIN_READ {
                    match seq.next_element()? {
                        Some(certificate) => chain.push(certificate),
                        None => return Ok(Chain(chain)),
                    }
                }
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Chain(chain))
            }
        }
        deserializer.deserialize_seq(Certificates)
    }
}

/// The elements of a batch, each still the text that came.
struct Elements<'a>(Vec<&'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for Elements<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bounded;
        impl<'de> Visitor<'de> for Bounded {
            type Value = Elements<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array in `entries`")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Elements<'de>, A::Error> {
                let mut elements = Vec::new();
                while let Some(element) = seq.next_element()? {
                    if elements.len() == MAX_BATCH_ENTRIES {
                        let why = format_args!("more than {MAX_BATCH_ENTRIES} entries in one batch: send several");
                        return Err(de::Error::custom(why));
                    }
                    elements.push(element);
                }
                Ok(Elements(elements))
            }
        }
        deserializer.deserialize_seq(Bounded)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn token(body: &[u8]) -> Option<Token> {
        SubmitEntryRequest::from_json(body).err().map(|p| p.token().unwrap())
    }

    fn of_json(value: &Value) -> Option<Token> {
        token(value.to_string().as_bytes())
    }

    #[test]
    fn what_a_client_writes_the_server_reads() {
        for entry_type in [None, Some(EntryType::Certificate), Some(EntryType::Precertificate)] {
            let request = SubmitEntryRequest {
                submission: B64(vec![0x30, 0]),
                entry_type,
                chain: vec![B64(vec![1]), B64(vec![])],
            };
            let json = serde_json::to_vec(&request).unwrap();
            assert_eq!(SubmitEntryRequest::from_json(&json).unwrap(), request);
            let batch = SubmitEntriesRequest { entries: vec![request.clone(), request.clone()] };
            let split = SubmitEntriesRequest::split_json(&serde_json::to_vec(&batch).unwrap(), usize::MAX).unwrap();
            assert_eq!(split, [Ok(request.clone()), Ok(request)]);
        }
    }

    #[test]
    fn absent_null_and_unknown_members() {
        let bare = SubmitEntryRequest { submission: B64(vec![0]), entry_type: None, chain: vec![] };
        for text in [
            r#"{"submission":"AA=="}"#,
            r#"{"submission":"AA==","chain":null,"type":null}"#,
            " \t\r\n{\"chain\":[],\"submission\":\"AA==\",\"extra\":[{\"a\":1e9}]} \n",
        ] {
            assert_eq!(SubmitEntryRequest::from_json(text.as_bytes()), Ok(bare.clone()), "{text}");
        }
    }

    #[test]
    fn integers_that_are_no_type_are_bad_type() {
        for n in
            ["0", "3", "-1", "256", "258", "2147483648", "4294967298", "18446744073709551615", "-9223372036854775808"]
        {
            assert_eq!(token(format!(r#"{{"submission":"AA==","type":{n}}}"#).as_bytes()), Some(Token::BadType), "{n}");
        }
        let others = [
            "1.5",
            "2.0",
            "18446744073709551616",
            "18446744073709551618",
            "\"2\"",
            "true",
            "[2]",
            "{}",
            "NaN",
            "1e999999",
            "-",
            "02",
        ];
        for n in others {
            assert_eq!(
                token(format!(r#"{{"submission":"AA==","type":{n}}}"#).as_bytes()),
                Some(Token::Malformed),
                "{n}"
            );
        }
    }

    #[test]
    fn bodies_that_are_no_submission_are_malformed() {
        let good = r#"{"submission":"AA=="}"#;
        let utf16: Vec<u8> = good.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let bodies: Vec<Vec<u8>> = [
            "",
            " ",
            "null",
            "true",
            "5",
            "\"x\"",
            "[]",
            "[\"AA==\",2,[]]",
            "{}",
            "{",
            "<a/>",
            "submission=AA&type=2",
            "{not gzip}",
            r#"{"submission":"AA=="}x"#,
            r#"{"submission":"AA=="}{"submission":"AA=="}"#,
            r#"{"submission":"AA==""#,
            r#"{"submission":"AA==",}"#,
            r#"{/**/"submission":"AA=="}"#,
            r#"{'submission':'AA=='}"#,
            r#"{"submission":"\ud800"}"#,
            r#"{"submission":"AA==","submission":"AA=="}"#,
            r#"{"submission":null}"#,
            r#"{"submission":5}"#,
            r#"{"submission":["AA=="]}"#,
            r#"{"submission":{"a":"AA=="}}"#,
            r#"{"submission":" "}"#,
            r#"{"submission":"AA"}"#,
            r#"{"submission":"AA==\n"}"#,
            r#"{"submission":"AB=="}"#,
            r#"{"submission":"-_-_"}"#,
        ]
        .iter()
        .map(|s| s.as_bytes().to_vec())
        .chain([utf16, vec![0; 100], b"{\"submission\":\"\xff\xfe\"}".to_vec(), b"\xef\xbb\xbf{}".to_vec()])
        .collect();
        for body in bodies {
            assert_eq!(token(&body), Some(Token::Malformed), "{}", String::from_utf8_lossy(&body));
        }
        for chain in [json!("x"), json!(5), json!({}), json!([1]), json!([null]), json!([["AA=="]]), json!(["!!"])] {
            assert_eq!(of_json(&json!({"submission": "AA==", "chain": chain})), Some(Token::Malformed), "{chain}");
        }
    }

    #[test]
    fn depth_does_not_reach_the_stack() {
        let nested = |open: &str, close: &str, n: usize| open.repeat(n) + "1" + &close.repeat(n);
        let bodies = [
            "[".repeat(100_000),
            nested("[", "]", 50_000),
            nested("{\"a\":", "}", 20_000),
            format!(r#"{{"submission":"AA==","chain":{}}}"#, nested("[", "]", 20_000)),
            format!(r#"{{"submission":{}}}"#, nested("[", "]", 20_000)),
            format!(r#"{{"entries":[{}]}}"#, nested("{\"submission\":", "}", 20_000)),
        ];
        for body in &bodies {
            assert_eq!(token(body.as_bytes()), Some(Token::Malformed));
            if let Ok(split) = SubmitEntriesRequest::split_json(body.as_bytes(), usize::MAX) {
                assert!(split.iter().all(Result::is_err));
            }
        }
    }

    #[test]
    fn a_long_chain_stays_too_long() {
        let request = json!({"submission": "AA==", "chain": vec!["AA=="; 1000]});
        let read = SubmitEntryRequest::from_json(request.to_string().as_bytes()).unwrap();
        assert_eq!(read.chain.len(), MAX_CHAIN_READ);
    }

    #[test]
    fn details_stay_short() {
        let body = json!({"submission": "AA==", "type": "x".repeat(100_000)}).to_string();
        assert!(SubmitEntryRequest::from_json(body.as_bytes()).unwrap_err().detail.len() < 400);
    }

    #[test]
    fn each_element_of_a_batch_fails_by_itself() {
        let batch = json!({"entries": [
            {"submission": "AA==", "type": 2}, {"submission": "!!!", "chain": []}, {"submission": "AA==", "type": 7}, {}, 1, null, "x", [],
            ["AA=="], {"submission": "AAA="}
        ]});
        let results = SubmitEntriesRequest::split_json(batch.to_string().as_bytes(), usize::MAX).unwrap();
        let tokens: Vec<_> = results.iter().map(|r| r.as_ref().err().map(|p| p.token().unwrap())).collect();
        let bad = Some(Token::Malformed);
        assert_eq!(tokens, [None, bad, Some(Token::BadType), bad, bad, bad, bad, bad, bad, None]);
        assert_eq!(results[9].as_ref().unwrap().submission.0, [0, 0]);
    }

    #[test]
    fn an_element_is_no_larger_than_an_entry_may_be() {
        let one = r#"{"submission":"AA=="}"#;
        let batch = format!(r#"{{"entries":[{one}   , {{"submission": "AA=="}},{one}]}}"#);
        let results = SubmitEntriesRequest::split_json(batch.as_bytes(), one.len()).unwrap();
        let statuses: Vec<_> = results.iter().map(|r| r.as_ref().map_or_else(|p| p.status, |_| 200)).collect();
        assert_eq!(statuses, [200, 413, 200]);
        assert_eq!(results[1].as_ref().unwrap_err().token(), Some(Token::TooLarge));
    }

    #[test]
    fn batches_are_bounded() {
        let of = |n: usize| json!({"entries": vec![json!({"submission": "AA=="}); n]}).to_string();
        assert_eq!(SubmitEntriesRequest::split_json(of(0).as_bytes(), usize::MAX), Ok(vec![]));
        assert_eq!(
            SubmitEntriesRequest::split_json(of(MAX_BATCH_ENTRIES).as_bytes(), usize::MAX).unwrap().len(),
            MAX_BATCH_ENTRIES
        );
        let refused = [
            of(MAX_BATCH_ENTRIES + 1),
            "{}".into(),
            r#"{"entries":null}"#.into(),
            r#"{"entries":{}}"#.into(),
            r#"{"entries":"x"}"#.into(),
            r#"[{"submission":"AA=="}]"#.into(),
            r#"[[]]"#.into(),
            r#"{"entries":[,]}"#.into(),
            r#"{"entries":[{]}"#.into(),
            r#"{"entries":[]}x"#.into(),
        ];
        for body in refused {
            let problem = SubmitEntriesRequest::split_json(body.as_bytes(), usize::MAX).unwrap_err();
            assert_eq!(problem.token(), Some(Token::Malformed), "{body}");
        }
        assert!(SubmitEntriesRequest::split_json(b"{\"entries\":[\"\xff\"]}", usize::MAX).is_err());
    }

    #[test]
    fn results_tell_success_from_problem() {
        let h = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        let problem = serde_json::to_value(Problem::new(Token::BadType, "x")).unwrap();
        let json = json!({"results": [{"sat": "MAA=", "leaf_index": 4, "cert_hash": h, "timestamp": 9}, problem]});
        let parsed: SubmitEntriesResponse = serde_json::from_value(json.clone()).unwrap();
        assert!(
            matches!(&parsed.results[..], [SubmitResult::Logged(_), SubmitResult::Refused(p)] if p.token() == Some(Token::BadType))
        );
        assert_eq!(serde_json::to_value(&parsed).unwrap(), json);
        assert!(serde_json::from_str::<SubmitEntriesResponse>(r#"{"results":[{}]}"#).is_err());
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic(octets: Vec<u8>, text in r#"[{}\[\],:"a-z0-9=+ ]{0,60}"#) {
            for body in [&octets[..], text.as_bytes(), format!(r#"{{"submission":"AA==",{text}}}"#).as_bytes()] {
                let _ = (SubmitEntryRequest::from_json(body), SubmitEntriesRequest::split_json(body, usize::MAX));
            }
        }
    }
}
