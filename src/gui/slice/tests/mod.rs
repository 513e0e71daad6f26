//! Tests of the slice engine as a whole.
