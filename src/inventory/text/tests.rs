//! Tables of texts and what is found in them.
