//! How the panel answers.
