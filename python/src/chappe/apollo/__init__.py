"""The modules that Apollo mods import, by the names that they import them by (spec/apollo.md section 4)."""
