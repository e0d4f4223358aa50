#!/usr/bin/env python3
"""Speaks to `docent mcp` with the official Python client (PyPI: mcp, version 2): lists and calls every tool, reads resources, hears progress;
and the same to `/mcp` of `docent serve`.

    tests/mcp_client.py [DOCENT]     some of the sample documents are added to a home of its own, with the small models pulled

Installs the client into a virtual environment below the temporary folder if this Python has none. The last line is `ok`.
"""

import asyncio
import contextlib
import os
import pathlib
import subprocess
import sys
import tempfile
import venv

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODELS = ["all-minilm-l6-v2", "smollm2-135m-instruct"]


def target():
    """Where cargo builds."""
    return pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))


def with_client():
    """Starts this script again where the client is installed."""
    try:
        from mcp import Client  # noqa: F401
        return
    except ImportError:
        pass
    home = pathlib.Path(tempfile.gettempdir()) / "docent-mcp-client"
    python = home / "bin" / "python"
    if not python.exists():
        venv.create(home, with_pip=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", "mcp>=2,<3"], check=True)
    os.execv(python, [str(python), *sys.argv])


def over_stdio(docent, home):
    from mcp import StdioServerParameters

    return StdioServerParameters(command=docent, args=["--home", home, "mcp", "--temperature", "0"])


@contextlib.contextmanager
def over_http(docent, home):
    command = [docent, "--home", home, "serve", "--listen", "127.0.0.1:0", "--log", "off"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            yield server.stdout.readline().strip() + "/mcp"
        finally:
            server.terminate()


async def speak(server, docs, mode):
    from mcp import Client

    async with Client(server, mode=mode) as client:
        assert client.server_info.name == "docent", client.server_info
        tools = {tool.name for tool in (await client.list_tools()).tools}
        assert tools == {"search", "ask", "read_passage", "list"}, tools
        print(f"protocol {client.protocol_version}:", ", ".join(sorted(tools)))

        found = await client.call_tool("search", {"query": "working from another country", "limit": 3})
        assert not found.is_error, found
        hits = found.structured_content["hits"]
        assert hits and all(hit["path"].startswith(docs) for hit in hits), hits
        print("search:", hits[0]["path"])

        part = await client.call_tool("read_passage", {"path": hits[0]["path"], "last_line": 3})
        assert part.structured_content["line_end"] <= 3, part
        listed = await client.call_tool("list", {"type": "md", "limit": 200})
        assert listed.structured_content["total"] > 0, listed

        heard = []

        async def progress(done, total, message):
            heard.append(done)

        question = "How many days a year may I work from another country?"
        answer = await client.call_tool("ask", {"question": question}, progress_callback=progress)
        assert not answer.is_error and answer.structured_content["citations"], answer
        print("ask:", answer.structured_content["status"], answer.structured_content["answer"][:120])
        assert heard == sorted(heard), heard

        for name, arguments, said in [
            ("search", {"query": "x", "folder": "/"}, "unknown field"),
            ("read_passage", {"path": "/etc/passwd"}, "not among"),
        ]:
            refused = await client.call_tool(name, arguments)
            assert refused.is_error and said in refused.content[0].text, refused

        resources = (await client.list_resources()).resources
        text = (await client.read_resource(str(resources[0].uri))).contents[0]
        assert text.text, text
        print("resources:", len(resources))


def main(arguments):
    with_client()
    docent = str(pathlib.Path(arguments[0] if arguments else target() / "release" / "docent").resolve())
    docs = str(ROOT / "corpora" / "tour" / "work")
    with tempfile.TemporaryDirectory() as folder:
        home = os.path.join(folder, "home")
        subprocess.run([docent, "--home", home, "models", "pull", "--offline-packages", *MODELS], check=True)
        subprocess.run([docent, "--home", home, "add", docs], check=True)
        # The handshake that clients know since 2024, and whatever the newest one prefers.
        for mode in ["legacy", "auto"]:
            asyncio.run(speak(over_stdio(docent, home), docs, mode))
            with over_http(docent, home) as address:
                asyncio.run(speak(address, docs, mode))
    print("ok")


if __name__ == "__main__":
    main(sys.argv[1:])
