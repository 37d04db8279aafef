"""Dead letters that are worked with: found by filters, sent again, dropped, exported. For the API and `tokenflow dlq`."""
