//! Losses: tokens or logits in, one number and its parts out.
