"""What people see: progress, trees as text and as pictures, tables, figures, the report."""
