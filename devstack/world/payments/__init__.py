"""A payment provider in Stripe's dialect: what our side uses of it, with its rules about keys, captures and events."""
