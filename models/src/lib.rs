//! dunlin-models
