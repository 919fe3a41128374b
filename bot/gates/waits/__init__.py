"""What platforms asked the gate and wait for, each answered exactly once when it may go.

For an adapter whose platform asks once and is called back later:

1. Its webhook stores the question: `await waits.ask(Question(platform=…, account=…, key=…, …))`
   (`records.py`). The `key` is the platform's own name of it, so that a repeated delivery asks nothing new;
   where the platform says that it no longer waits, `await waits.withdraw(platform, key)`.
2. It implements `WaitAnswerer` (`answerer.py`): `next_call` decides, without I/O, what the platform is told
   of a standing; `send` tells it; `look` asks the platform what became of a wait. What goes wrong is raised
   as one of the errors there.
3. `bot/app/gates/gates.py` gives it to `WaitAnswering.register` (`answering.py`).

`WaitAnswering` asks the one verdict whenever holds or exemptions change, and at least every half minute. It
makes the calls that the standing calls for, final ones first, by priority, one after another for each
account and within the answerer's limits, also those of calls made before a restart. One replica does it for
each platform. What a call needs is stored before it is made: where a crash or a time-out leaves open
whether the platform was told, the platform is asked before anything is told again.
"""
