from money import Money
