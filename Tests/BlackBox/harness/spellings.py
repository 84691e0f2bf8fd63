# SPDX-License-Identifier: Apache-2.0
# Addresses that nobody may make the control plane connect to, in all the ways they can be written.

#: Nothing has to listen there: the attempt itself is what must not be.
PORT = 81

LOOPBACK_4 = """
127.0.0.1 127.1 127.0.1 127.255.255.254 0x7f.1 0x7f.0.0.1 0x7f000001 0X7F.0X0.0X0.0X1 2130706433
017700000001 0177.0.0.1 0177.1 0000177.0.0.1 127.0.0.01 0x7f.0.1 127.0x1 127.0.0.1. 127.1.
localhost LOCALHOST LocalHost localhost. localhost.localdomain 127.0.0.1.nip.io localtest.me
""".split()
LOOPBACK_6 = """
[::1] [0:0:0:0:0:0:0:1] [0000:0000:0000:0000:0000:0000:0000:0001] [::0001] [0::1]
[::127.0.0.1] [::7f00:1] [::ffff:127.0.0.1] [::ffff:7f00:1] [::FFFF:7F00:0001]
[0:0:0:0:0:ffff:127.0.0.1] [0:0:0:0:0:FFFF:7f00:0001] [::ffff:0:127.0.0.1] [::ffff:127.1.2.3]
[64:ff9b::127.0.0.1] [64:ff9b::7f00:1] [64:ff9b:1::7f00:1] [2002:7f00:1::] [2002:7f00:0001::1]
[2001:0:7f00:1::] [2001:0000:4136:e378:8000:63bf:80ff:fffe]
""".split()
ANYWHERE = (
    "0.0.0.0 0 00 0x0 0.0 0x0.0 0.0.0.0. [::] [::0] [0:0:0:0:0:0:0:0] [::ffff:0.0.0.0]".split()
)
METADATA = """
169.254.169.254 0xa9fea9fe 0xA9.0xFE.0xA9.0xFE 2852039166 169.254.43518 169.16689662
0251.0376.0251.0376 025177524776 [::ffff:169.254.169.254] [::ffff:a9fe:a9fe] [::169.254.169.254]
[64:ff9b::a9fe:a9fe] [2002:a9fe:a9fe::] [fd00:ec2::254] 100.100.100.200 192.0.0.192
metadata.google.internal metadata.google.internal. METADATA.GOOGLE.INTERNAL metadata instance-data
""".split()
PRIVATE = """
10.0.0.1 10.1 0x0a000001 172.16.0.1 172.31.255.255 192.168.0.1 0300.0250.0.1 100.64.0.1 198.18.0.1
224.0.0.1 239.255.255.250 240.0.0.1 255.255.255.255 [fc00::1] [fd12:3456::1] [fe80::1] [ff02::1]
[fec0::1] [100::1] [5f00::1] [::ffff:10.0.0.1] [::ffff:c0a8:1]
private.test six.test mapped.test translated.test both.test alias.test
""".split()
HOSTS = [*LOOPBACK_4, *LOOPBACK_6, *ANYWHERE, *METADATA, *PRIVATE]

#: Names that the island's name server knows; all others are 127.0.0.1 there.
NAMES = {
    "metadata.google.internal": ["169.254.169.254", "fd00:ec2::254"],
    "private.test": ["10.0.0.1"],
    "six.test": ["::1"],
    "mapped.test": ["::ffff:127.0.0.1"],
    "translated.test": ["64:ff9b::7f00:1"],
    "both.test": ["93.184.216.34", "127.0.0.1"],
    "alias.test": "inner.test",
    "inner.test": "innermost.test",
    "innermost.test": ["127.0.0.1"],
    "site.test": ["93.184.216.34"],
}

#: Not web addresses, or two parsers would read two hosts from them.
TRICKS = [
    "http://site.test@127.0.0.1:81/",
    "http://site.test:81@127.0.0.1:81/",
    "http://127.0.0.1:81@site.test/",
    "http://@127.0.0.1:81/",
    "http://:@127.0.0.1:81/",
    "http://site.test#@127.0.0.1:81/",
    "http://127.0.0.1:81#@site.test/",
    "http://site.test\\@127.0.0.1:81/",
    "http://127.0.0.1:81\\@site.test/",
    "http://127.0.0.1:81\\.site.test/",
    "http:\\\\127.0.0.1:81\\",
    "http:/\\127.0.0.1:81/",
    "http:/127.0.0.1:81/",
    "http:127.0.0.1:81/",
    "http:///127.0.0.1:81/",
    "//127.0.0.1:81/",
    "///127.0.0.1:81/",
    "127.0.0.1:81",
    "http://%31%32%37.0.0.1:81/",
    "http://127%2e0%2e0%2e1:81/",
    "http://%6c%6f%63%61%6c%68%6f%73%74:81/",
    "http://site.test%40127.0.0.1:81/",
    "http://127.0.0.1%00.site.test:81/",
    "http://127.0.0.1%23.site.test:81/",
    "http://127.0.0.1%2f.site.test:81/",
    "http://[::1%25lo]:81/",
    "http://[::1%lo]:81/",
    "http://[fe80::1%25lo]:81/",
    "http://[::1]%00.site.test:81/",
    "http://[::1].site.test:81/",
    "http://[::ffff:127.0.0.1:81/",
    "http://::1:81/",
    "http://[127.0.0.1]:81/",
    "http://[localhost]:81/",
    "http://[v1.127.0.0.1]:81/",
    "http://127\u30020\u30020\u30021:81/",
    "http://127\uff0e0\uff0e0\uff0e1:81/",
    "http://\uff11\uff12\uff17.0.0.1:81/",
    "http://\u2460\u2461\u2466.0.0.1:81/",
    "http://\u2113ocalhost:81/",
    "http://loca\u00adlhost:81/",
    "http://localhost\u200b:81/",
    "http://\u0661\u0662\u0667.0.0.1:81/",
    "http://127.0.0.1\u2044@site.test:81/",
    " http://127.0.0.1:81/",
    "http://127.0.0.1:81/ ",
    "\thttp://127.0.0.1:81/",
    "http://127.0.0.1:81/\t",
    "ht\ttp://127.0.0.1:81/",
    "http://\t127.0.0.1:81/",
    "http://127.0.0\n.1:81/",
    "http://127.0.0.1:81/\r\nX-A: b",
    "http://127.0.0.1\u0000.site.test:81/",
    "\u0000http://127.0.0.1:81/",
    "\ufeffhttp://127.0.0.1:81/",
    "http://127.0.0.1 site.test:81/",
    "http://127.0.0.1:+81/",
    "http://127.0.0.1:0x51/",
    "http://127.0.0.1:65617/",
    "http://127.0.0.1:81:82/",
    "http://127.0.0.1:/",
    "http://127.0.0.1:-1/",
    "http://127.0.0.1:0/",
    "http://127.0.0.1:\uff18\uff11/",
    "http+unix://%2Ftmp%2Fx.sock/",
    "https+unix://%2Ftmp%2Fx.sock/",
    "unix:///tmp/x.sock",
    "file:///etc/passwd",
    "ftp://127.0.0.1:81/",
    "gopher://127.0.0.1:81/_GET",
    "dict://127.0.0.1:81/",
    "ldap://127.0.0.1:81/",
    "tftp://127.0.0.1:81/",
    "ws://127.0.0.1:81/",
    "jar:http://127.0.0.1:81/!/",
    "view-source:http://127.0.0.1:81/",
    "data:text/html,x",
    "javascript:fetch('http://127.0.0.1:81/')",
    "h\u0442tp://127.0.0.1:81/",
]
#: Well-formed, with hosts that may not be reached.
FORBIDDEN = [f"http://{host}:{PORT}/" for host in HOSTS] + [
    "HTTP://127.0.0.1:81/",
    "hTTp://127.1:81/x?y=http://site.test/",
    "HTTPS://127.0.0.1:81/",
    "https://127.0.0.1:81/",
    "http://127.0.0.1:00081/",
    "http://127.0.0.1:81?@site.test/",
    "http://127.0.0.1:81/@site.test/",
    "http://localhost:81/..//site.test",
]
SPELLINGS = [*FORBIDDEN, *TRICKS]
