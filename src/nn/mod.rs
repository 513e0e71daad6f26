//! Building blocks of the networks, one config and module a file.
