//! Operations that the tensor library lacks or does slowly: a reference first, faster bodies second.
