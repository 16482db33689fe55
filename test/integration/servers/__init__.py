"""Starts real servers under the runtime and talks to them.

process    a program in its own session, its output in files, ended by pid
client     requests over plain sockets; answers that compare
runtime    where libselfheal.so and `selfheal` are; a store of one's own and what is in it
maps       /proc/PID/maps: writable-and-executable pages, children
warehouse  the example server
case       the test case: a folder that is kept when a check fails, and the command that replays it

Stock Debian servers have their drivers in test/servers/stock.
"""
