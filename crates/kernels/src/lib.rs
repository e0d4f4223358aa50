//! Quantised block formats, matmul, expert matmul, attention and short convolution, one file per instruction set.
