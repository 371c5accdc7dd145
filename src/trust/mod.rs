//! The trust engine: from what reporters say of agents to the scores that certificates carry (draft 6.2 to
//! 6.4, 11.2.1 T1, 11.2.2 T2; protocol section 6).
//!
//! It is built as the CA is: a [`command`] is decided by what is known ([`decide`], pure, and may refuse) and
//! becomes events, from which all that is kept follows ([`state`], which cannot fail). Each event is a row of a
//! [`ledger`] chained by hashes, and holds the moment, who, what was asked for, what was applied, and why the
//! rest was not: any score can be recomputed ([`replay`]) and explained ([`explain`]) from its rows alone. The
//! fold needs no policy: what a policy decided stands in the rows. Only [`service`] has a clock and threads.
//!
//! # The rules
//!
//! **Half-points.** Everything is counted in [`half_points`]; a score is 0 to 200 of them, and is rounded down
//! to points where a certificate says it.
//!
//! **Accounts.** An agent has one account, under its URI, for ever: enrolling again opens no other. It is
//! opened when the CA first asks for the agent's score, with the CA's attestation result (draft 7.1 step 5) as
//! its *base*. A later and lower result lowers the base, and with it the balance and the peak, by the
//! difference: the evidence is lost. A higher one changes nothing; only an operator of the engine raises a
//! base. So a CA reads scores and cannot write them up.
//!
//! **Value.** The *balance* is the base with all that was applied; the *decay* is what was lost to time. The
//! value is the balance less the decay, and is kept within 0 to 200 as each change is applied: what would lead
//! out of that range is not banked. The effective score is the value, and at most the cap.
//!
//! **Decay** accrues in real arithmetic, at so many points an hour, in all time but the first
//! `active_ms` behind a positive signal of which something was applied. It is never taken back: no signal, no
//! renewal and no new assessment lessens it, and a reset alone clears it, along with everything else. A positive
//! signal adds what it is worth to the balance, and so to the value, and no more. At a value of 0 there is
//! nothing left to decay. Where an agent was moved by more than `swing` within 24 hours, up and down together,
//! it decays twice as fast for the next 24 (T2). A changed rate holds for an agent from its next row on, and the
//! next assessment writes one.
//!
//! **Cap.** The peak is the highest that the balance was, and at most 200. The cap is the peak less the
//! penalties: all that negative signals took, counted whole even where the score was near 0, and for as long as
//! `penalty_lapse_days` says (0: for ever). No score is above it (T2).
//!
//! **Signals** come from registered reporters, signed, each with an id used once ([`signal`]). One that was
//! taken in is answered the same way again, however late, if it comes again octet for octet; another under its
//! id is refused. Ids are remembered as long as the ledger. A refused signal leaves no trace. From one reporter
//! at most 10 signals of one agent are taken within an hour, sliding.
//!
//! **One reporter alone** moves a score by at most 15 points up and 15 down within 24 hours, sliding, counted at
//! the moments when points were applied. What exceeds that is *withheld*. A reporter is not alone in a direction
//! while another registered reporter's signal in that direction is less than 24 hours old, whether or not
//! anything of that one was applied. A signal that agrees releases what was withheld of others in the same
//! direction within the last 24 hours; what nobody agreed with by then lapses. A praise by a flagged reporter
//! is not an opinion that others may lean on.
//!
//! **A rise** of more than 20 points within 24 hours is held for *review*, from wherever it comes: signals,
//! released or not, raised bases and approved reviews all count, and what was lost meanwhile makes no room. An
//! operator of the engine applies or denies what a review holds; what an operator's change of a base held, that
//! operator cannot apply. What is approved is not capped, and counts for the caps that follow.
//!
//! **Security incidents** count as a signal of -25 points, within the caps, until somebody decides. An operator
//! of the CA or of the engine confirms one: balance, base, decay and peak are 0, penalties, withheld points,
//! open reviews and earlier opinions are gone, at once and whatever the caps say. The peak counts anew from 0,
//! and signals may raise it; nobody gets the old one back. Or dismisses it: what the balance really lost to it
//! is given back, its penalty with it, and it was no opinion. That is no positive signal: decay goes on.
//!
//! **Baseline.** What a reporter sends is compared with what the others send ([`baseline`]): its share of
//! positive signals, and what it asks for on average, over the last 7 days. One that is far from the rest is
//! flagged, and its positive signals are held for review until an operator of the engine lifts the flag; from
//! there on it is counted anew.
//!
//! **Roles.** Reporters send signals. The CA asks for scores and follows their changes, and does nothing else.
//! Operators of the CA confirm incidents. Operators of the engine do too, and dismiss them, decide reviews, change
//! bases and lift flags. [`decide`] holds everybody to it, whatever stands in front.

pub mod account;
pub mod baseline;
pub mod command;
pub mod decide;
pub mod event;
pub mod explain;
pub mod half_points;
pub mod ledger;
mod limits;
pub mod policy;
pub mod ports;
pub mod record;
pub mod refusal;
pub mod replay;
pub mod reporter;
pub mod service;
pub mod signal;
pub mod state;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use explain::explain;
pub use replay::recompute;
