//! From scanner grid to network input: orient, resample, normalise, crop; and the way back.
