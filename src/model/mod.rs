//! Encoders, decoders, projector. A volume goes in, a token grid for each stage comes out.
