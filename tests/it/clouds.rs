//! The clouds that host others' models: Bedrock, Azure, Vertex, and how they let one in.

mod bedrock;
