// Sums for the shopkeeper: integers, + - * and parentheses.
#ifndef WAREHOUSE_CALCULATOR_H
#define WAREHOUSE_CALCULATOR_H

// Puts the value of the expression into `result`; 0, or -1 for bad syntax.
int calculate(const char* text, long* result);

#endif
