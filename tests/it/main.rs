//! Tests from outside: of the house itself, and of the program as its users see it.

mod tidy;
