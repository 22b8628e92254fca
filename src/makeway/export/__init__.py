"""Tell other systems what happens here, in the languages that they speak.

The log of events is the outbox: it is written before anything is done, it is never torn, and each
receiver has its own place in it. What a receiver could not be told is told later, in order.
"""
