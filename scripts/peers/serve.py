"""Lists over HTTP: dotcart's `serve` beside the usual hand-made service (FastAPI, uvicorn, implicit), in one run.

    python3 scripts/peers/serve.py [--binary target/release/dotcart] [--users 50000] [--products 476002] [--seconds 10]
    python3 scripts/peers/serve.py --soak 600     dotcart alone for ten minutes: memory and errors by the minute
    python3 scripts/peers/serve.py --reloads 50   the run is read anew and takes over, under load: requests that failed
    python3 scripts/peers/serve.py --kills 100    ratings are posted, the server killed with -9, and every kept rating looked for

Both answer the ten best products for a user from the same embeddings (dim 64) of a model of GENERATED ratings, trained here,
as JSON. The load comes from wrk (Debian's package), on the same machine, over 1, 8 and 64 connections, users at random.
"""

import argparse
import json
import os
import pathlib
import random
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

import environment

PINNED = ["numpy==2.4.6", "scipy==1.17.1", "implicit==0.7.3", "threadpoolctl==3.8.0", "fastapi", "uvicorn"]

LUA = """
local ids = {{}}
for line in io.lines("{ids}") do ids[#ids + 1] = line end
math.randomseed({seed})
request = function()
  return wrk.format("GET", "/v1/users/" .. ids[math.random(#ids)] .. "/recommendations?top=10")
end
"""

PEER = '''
"""The hand-made service: implicit's recommend behind FastAPI."""
import json
import fastapi, numpy, scipy.sparse
from implicit.cpu.als import AlternatingLeastSquares

users = numpy.load("users.npy"); items = numpy.load("items.npy")
model = AlternatingLeastSquares(factors=items.shape[1], num_threads=0)
model.user_factors, model.item_factors = users, items
ids = json.load(open("ids.json")); place = {name: index for index, name in enumerate(ids["users"])}
rows = json.load(open("seen.json"))
seen = scipy.sparse.csr_matrix((numpy.ones(len(rows["items"]), numpy.float32), rows["items"], rows["starts"]), shape=(len(users), len(items)))
app = fastapi.FastAPI()

@app.get("/v1/users/{user}/recommendations")
def recommend(user: str, top: int = 10):
    if user not in place:
        raise fastapi.HTTPException(404)
    index = place[user]
    found, scores = model.recommend(index, seen[index], N=top)
    return {"user": user, "products": [{"product": ids["products"][item], "score": float(score)} for item, score in zip(found, scores)]}
'''


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", help="dotcart [default: built by cargo]")
    parser.add_argument("--users", type=int, default=50_000)
    parser.add_argument("--products", type=int, default=476_002)
    parser.add_argument("--ratings", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--soak", type=int, default=0, metavar="SECONDS")
    parser.add_argument("--reloads", type=int, default=0)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--without-peer", action="store_true")
    return parser.parse_args()


def train(binary, folder, arguments):
    """A model of the wanted size, trained little: answers take as long whatever they say."""
    words = [binary, "generate", "--ratings", arguments.ratings, "--users", arguments.users, "--products", arguments.products]
    call(folder, *words, "--out", "ratings.csv")
    sets = ["model.dim=64", "train.epochs=1", "name=load", "evaluate.k=[10]", "split.valid=0.01", "split.test=0.01"]
    words = [binary, "train", "ratings.csv", "--device", "cpu", "--quiet"]
    call(folder, *words, *(word for assignment in sets for word in ("--set", assignment)))


def call(folder, *words):
    done = subprocess.run([str(word) for word in words], cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, words))}\n{done.stderr[-2000:]}")
    return done.stdout


def tensors(path):
    """The tensors of a safetensors file."""
    import numpy

    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    kinds = {"F32": numpy.float32, "U64": numpy.uint64, "U32": numpy.uint32, "U8": numpy.uint8}
    found = {}
    for name, entry in json.loads(data[8 : 8 + size]).items():
        if name != "__metadata__":
            first, last = entry["data_offsets"]
            flat = numpy.frombuffer(data[8 + size + first : 8 + size + last], kinds[entry["dtype"]])
            found[name] = flat.reshape(entry["shape"])
    return found


def names(path):
    vocabulary = tensors(path)
    starts, text = vocabulary["id_starts"], vocabulary["id_text"].tobytes()
    return [text[first:last].decode() for first, last in zip(starts[:-1], starts[1:])]


def give_to_peer(run, folder):
    """The run's choice embeddings with the appeal as one more coordinate: an inner product that ranks as dotcart does."""
    import numpy

    model = tensors(run / "model.safetensors")
    items = numpy.hstack([model["item_choice_embedding"], model["item_appeal"].reshape(-1, 1)])
    users = numpy.hstack([model["user_choice_embedding"], numpy.ones((len(model["user_choice_embedding"]), 1), numpy.float32)])
    numpy.save(folder / "items.npy", numpy.ascontiguousarray(items))
    numpy.save(folder / "users.npy", numpy.ascontiguousarray(users))
    ids = {"users": names(run / "users.safetensors"), "products": names(run / "products.safetensors")}
    (folder / "ids.json").write_text(json.dumps(ids))
    rows = tensors(run / "interactions.safetensors")
    seen = {"items": rows["item"].tolist(), "starts": rows["user_starts"].tolist()}
    (folder / "seen.json").write_text(json.dumps(seen))
    (folder / "peer.py").write_text(PEER)
    return ids["users"]


def free_port():
    with socket.socket() as asking:
        asking.bind(("127.0.0.1", 0))
        return asking.getsockname()[1]


def start(words, folder, port):
    """A server, once it answers."""
    server = subprocess.Popen([str(word) for word in words], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(600):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/openapi.json").read()
            return server
        except OSError:
            time.sleep(0.1)
    sys.exit("the server does not start")


def load(folder, port, connections, seconds):
    """Requests a second, p50 and p99 in milliseconds, and answers that were none."""
    words = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", "users.lua", f"http://127.0.0.1:{port}"]
    text = call(folder, *words)

    def milliseconds(percent):
        value, unit = re.search(rf"{percent}%\s+([\d.]+)(us|ms|s)", text).groups()
        return float(value) * {"us": 1e-3, "ms": 1, "s": 1e3}[unit]

    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    broken = re.search(r"Socket errors: (.*)", text)
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1))
    return rate, milliseconds(50), milliseconds(99), (failed.group(1) if failed else "0") + (f", {broken.group(1)}" if broken else "")


def measure(name, words, folder, port, arguments):
    server = start(words, folder, port)
    load(folder, port, 8, 2)
    for connections in [1, 8, 64]:
        rate, p50, p99, failed = load(folder, port, connections, arguments.seconds)
        print(f"{name:<28} {connections:>3} connections  {rate:>8.0f} answers/s  p50 {p50:>7.2f} ms  p99 {p99:>7.2f} ms  failed {failed}", flush=True)
    return server


def memory(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    anonymous = int(re.search(r"RssAnon:\s+(\d+)", status).group(1))
    whole = int(re.search(r"VmRSS:\s+(\d+)", status).group(1))
    return anonymous / 1024, whole / 1024


def soak(words, folder, port, seconds):
    server = start(words, folder, port)
    step = min(60, seconds)
    for minute in range(max(1, seconds // step)):
        rate, p50, p99, failed = load(folder, port, 64, step)
        own, whole = memory(server.pid)
        print(f"after {(minute + 1) * step:>4} s: {rate:.0f} answers/s, p99 {p99:.1f} ms, failed {failed}, own memory {own:.1f} MiB, with the mapped run {whole:.1f} MiB", flush=True)
    server.terminate()
    sys.exit(server.wait())


def reloads(words, folder, port, count):
    """Has the run read anew and take over, again and again, under the load of 64 connections."""
    server = start(words, folder, port)
    token = (folder / "token").read_text().strip()
    done = []

    def reload():
        for _ in range(count):
            request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/model/reload", b"", {"Authorization": f"Bearer {token}"})
            began = time.perf_counter()
            urllib.request.urlopen(request).read()
            done.append(time.perf_counter() - began)

    thread = threading.Thread(target=reload)
    thread.start()
    failed = []
    while thread.is_alive():
        rate, _, p99, wrong = load(folder, port, 64, 5)
        failed.append(wrong)
        print(f"{len(done)} of {count} reloads, {rate:.0f} answers/s, p99 {p99:.1f} ms, failed {wrong}", flush=True)
    server.terminate()
    print(f"{len(done)} reloads of {statistics.median(done):.2f} s at the median")
    sys.exit(server.wait() or len(done) < count or any(wrong != "0" for wrong in failed))


def kills(words, folder, users, count):
    """Posts ratings on four threads, kills the server at random moments, and looks for every rating that was answered."""
    products = names(folder / "runs/load-1/products.safetensors")
    token, kept, lock = (folder / "token").read_text().strip(), [], threading.Lock()
    chance = random.Random(7)
    posted = 0
    for kill in range(count):
        port = free_port()
        server = start([*words, "--address", f"127.0.0.1:{port}"], folder, port)

        def post(seed):
            chance, number = random.Random(seed), 0
            while True:
                rating = {"user": chance.choice(users), "product": chance.choice(products), "rating": chance.randint(1, 5), "request_id": f"{seed}-{number}"}
                request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/ratings", json.dumps(rating).encode(), {"Authorization": f"Bearer {token}"})
                try:
                    urllib.request.urlopen(request).read()
                except OSError:
                    return
                with lock:
                    kept.append(rating)
                number += 1

        threads = [threading.Thread(target=post, args=(kill * 4 + place,)) for place in range(4)]
        [thread.start() for thread in threads]
        time.sleep(chance.uniform(0.02, 0.3))
        server.send_signal(signal.SIGKILL)
        server.wait()
        [thread.join() for thread in threads]
    lines = (folder / "runs/load-1/ratings.log").read_text().splitlines()
    there = {json.loads(line[17:])["request_id"] for line in lines if line.endswith("}")}
    lost = [rating for rating in kept if rating["request_id"] not in there]
    port = free_port()
    server = start([*words, "--address", f"127.0.0.1:{port}"], folder, port)
    latest = {(rating["user"], rating["product"]) for rating in kept}
    model = json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/model"))
    server.kill()
    print(f"{count} kills, {len(kept)} ratings answered, {len(lost)} of them lost; the server knows {model['ratings_since_training']} pairs, {len(latest)} were answered")
    sys.exit(bool(lost) or model["ratings_since_training"] < len(latest))


def main():
    arguments = parse()
    python = environment.python("serve-1", PINNED) or sys.exit("the peers cannot be installed here")
    if pathlib.Path(sys.prefix).resolve() != python.parent.parent.resolve():
        binary = str(environment.dotcart(arguments.binary))
        os.execv(python, [str(python), *sys.argv, "--binary", binary])
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        train(arguments.binary, folder, arguments)
        users = give_to_peer(folder / "runs/load-1", folder)
        (folder / "token").write_text("a-token-of-many-letters\n")
        (folder / "ids.txt").write_text("\n".join(users))
        (folder / "users.lua").write_text(LUA.format(ids="ids.txt", seed=7))
        serve = [arguments.binary, "serve", "--run", "load-1", "--token-file", "token"]
        if arguments.kills:
            kills(serve, folder, users, arguments.kills)
        port = free_port()
        words = [*serve, "--address", f"127.0.0.1:{port}"]
        if arguments.reloads:
            reloads(words, folder, port, arguments.reloads)
        if arguments.soak:
            soak(words, folder, port, arguments.soak)
        print(f"ten best of {arguments.products:,} products, dim 64, from {len(users):,} users of GENERATED ratings; {os.cpu_count()} cores, load included")
        measure("dotcart serve", words, folder, port, arguments).terminate()
        if not arguments.without_peer:
            port = free_port()
            words = [python, "-m", "uvicorn", "peer:app", "--port", port, "--log-level", "warning", "--no-access-log"]
            measure("FastAPI, uvicorn, implicit", words, folder, port, arguments).kill()


if __name__ == "__main__":
    main()
