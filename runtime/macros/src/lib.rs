//! dunlin-macros
