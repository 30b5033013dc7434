//! Stories about what people see, in one binary.
