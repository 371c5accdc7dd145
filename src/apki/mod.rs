//! Agent PKI objects (draft-sharif-apki-agent-pki-00 sections 4 and 5): agent URIs, the five
//! certificate extensions, certificates and the chains that they stand in.
