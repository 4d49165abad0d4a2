"""What the tests share: samples, references, judges, code by hand."""
