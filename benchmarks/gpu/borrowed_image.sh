# Sourced: an image without software of its own, labelled as ours, whose containers borrow the host's (host_image.py).
IMAGE=llem-host:2
src=$(cd "$here/../../src" && pwd)
# tini is put into the container at this path, which the host's /usr hides.
[ -e /usr/sbin/docker-init ] || cp "$(command -v docker-init)" /usr/sbin/docker-init
version() { sed -nE "s/^$1 = ([0-9]+).*/\1/p" "$2"; }
if ! docker image inspect $IMAGE >/dev/null 2>&1; then
    container=$(docker create llem-host:1 true)
    docker commit --change "LABEL org.pytest-llem.protocol=$(version PROTOCOL_VERSION "$src/pytest_llem/runners/messages.py") org.pytest-llem.schema=$(version SCHEMA_VERSION "$src/pytest_llem/results/model.py") org.pytest-llem.cuda=13.0" "$container" $IMAGE
    docker rm "$container" >/dev/null
fi
export HOST_PYTHON=${HOST_PYTHON:-/opt/torch/.venv/bin/python3}
export HOST_MOUNTS=/usr:/opt:$src${HOST_EXTRA_MOUNTS:+:$HOST_EXTRA_MOUNTS}
export PYTHONPATH=$here:${PYTHONPATH:-}
