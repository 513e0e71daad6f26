//! Plain data between the worker and every front end.
