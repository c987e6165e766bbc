"""What pyghmi has for consoles and commands, over bmclink: change the import, keep the program.

    from bmclink.compat.pyghmi.ipmi import command, console
    from bmclink.compat.pyghmi import exceptions

As there, `iohandler` and `onlogon` are called by whoever runs `Session.wait_for_rsp`,
`Command.eventloop` or `Console.main_loop`, and by nobody else. Unlike there, several threads may do
so, nothing else depends on it (sessions are kept alive and consoles acknowledged meanwhile), and a
BMC that is not there delays nobody.

Names, arguments and shapes of results are pyghmi's. Texts of errors are bmclink's, with the
exception of its own as `__cause__`. What only some vendors' BMCs have is not there.
"""
