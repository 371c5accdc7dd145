//! Evidence of misbehaviour: kept once, never changed, checked again offline.
