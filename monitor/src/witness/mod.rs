//! Cosigning checkpoints (C2SP tlog-witness), and signed audit statements.
