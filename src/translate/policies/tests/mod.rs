//! Policies of small meshes, translated and compared.
