//! The initial trust score of draft 7.1 step 5: five parts that add up to at most 100.

use serde::{Deserialize, Serialize};

/// The five parts of a score, in points. They are recorded with the decision, so that anybody who
/// reads the journal can add them up again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScoreInputs {
    /// How strong the attestation is: 0 to 30.
    pub attestation: u8,
    /// The reputation of the organisation: 0 to 20.
    pub organization: u8,
    /// Where the model and its framework come from: 0 to 15.
    pub provenance: u8,
    /// What is known of the code: 0 to 15.
    pub code: u8,
    /// What is known of the agent: 0 to 20.
    pub history: u8,
}
