"""A warehouse floor: hears what was released, plays a warehouse management system through our public facts API."""
