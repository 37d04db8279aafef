"""The engine: from polled records to durable outcomes and committed offsets, thousands of calls at a time.

    pump -> window.admit -> claims, done-set check -> ready queue -> lane (one task a call)
         -> sink (rows) -> settle -> committer

Pure modules (no I/O, clock passed in): window, claims, admission, schedule, verdict, intake. The others act on what these
decide. Everything runs on one event loop; each module's docstring names the task that mutates its state.
"""
