"""Messages that are none, by what is wrong with each."""

import base64
import json

SECRET = "0101701234"


def task_message(name: str, task: str = "note", **properties: object) -> dict:
    """A message as Celery publishes it."""
    body = base64.b64encode(json.dumps([[name], {}, {"callbacks": None, "errbacks": None}]).encode()).decode()
    return {
        "body": body, "content-encoding": "utf-8", "content-type": "application/json",
        "headers": {
            "lang": "py", "task": task, "id": f"id-{name}", "shadow": None, "eta": None, "expires": None, "group": None,
            "retries": 0, "timelimit": [None, None], "root_id": f"id-{name}", "parent_id": None, "argsrepr": SECRET,
            "kwargsrepr": "{}", "origin": "test", "ignore_result": True,
        },
        "properties": {
            "correlation_id": f"id-{name}", "delivery_mode": 2, "priority": 0,
            "delivery_info": {"exchange": "", "routing_key": "check"},
            "body_encoding": "base64", "delivery_tag": f"tag-{name}", **properties,
        },
    }  # fmt: skip


def changed(**parts: object) -> bytes:
    return json.dumps(task_message("x") | parts).encode()


def with_headers(**headers: object) -> bytes:
    message = task_message("x")
    message["headers"].update(headers)
    return json.dumps(message).encode()


def with_body(content: bytes) -> bytes:
    return changed(body=base64.b64encode(content).decode())


GOOD = json.dumps(task_message("x")).encode()


POISON = {
    "a tag and nothing else": b'{"properties": {"delivery_tag": "x"}}',
    "a tag that is a hexadecimal number": b'{"properties": {"delivery_tag": 0x10}}',
    "a byte that is not UTF-8": GOOD.replace(b"id-x", b"id-\xff"),
    "a raw line break in a string": GOOD.replace(b"id-x", b"id-\n"),
    "no JSON": b"no json " + SECRET.encode(),
    "nothing": b" ",
    "a list": b"[]",
    "a number": b"7",
    "properties that are a list": changed(properties=[1]),
    "properties that are text": changed(properties="delivery_tag"),
    "no properties": changed(properties=None),
    "a body that is not base64": changed(body=SECRET + "*"),
    "a body that is a number": changed(body=5),
    "a body of an unknown encoding": json.dumps(task_message("x", body_encoding="rot13")).encode(),
    "an encoding of the body that is a number": json.dumps(task_message("x", body_encoding=7)).encode(),
    "a body that is no JSON": with_body(b"{" + SECRET.encode()),
    "a body that is not UTF-8": with_body(b"\xff\xfe"),
    "a body of two parts": with_body(b"[[], {}]"),
    "arguments that are a number": with_body(b"[1, {}, {}]"),
    "arguments by name that are a list": with_body(b"[[], [], {}]"),
    "a content type that is refused": changed(**{"content-type": "application/x-python-serialize"}),
    "an unknown content type": changed(**{"content-type": "text/secret"}),
    "arguments too many": with_body(b"[[1, 2, 3], {}, {}]"),
    "an unknown argument": with_body(b'[[], {"other": 1}, {}]'),
    "headers that are a list": changed(headers=[1]),
    "headers that are text": changed(headers="task"),
    "no headers": changed(headers=None),
    "no task": with_headers(task=None),
    "a task that is a list": with_headers(task=["note"]),
    "an unknown task": with_headers(task="unknown"),
    "an id that is a map": with_headers(id={}),
    "limits that are a number": with_headers(timelimit=3),
    "limits of three parts": with_headers(timelimit=[1, 2, 3]),
    "a time that is none": with_headers(eta="yesterday"),
    "an end that is none": with_headers(expires="never"),
    "an unknown compression": with_headers(compression="zip"),
    "delivery information that is a list": json.dumps(task_message("x", delivery_info=[1])).encode(),
}  # fmt: skip
