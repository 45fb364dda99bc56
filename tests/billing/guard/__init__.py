"""Tests of billing.guard: order and dispatch checks, circuit breaker, holds and the spending monitor."""
