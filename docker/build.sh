#!/usr/bin/env bash
# docker/build.sh BACKEND [options] [-- docker build options]: builds the worker's image for pytorch or vllm.
#
#   --base IMAGE     base image; default: the Dockerfile's
#   --cuda VERSION   CUDA version of the inference library in it, "none" for a CPU build; default: the Dockerfile's
#   --tag TAG        default: the published name
#   --wheels FOLDER  wheels to prefer, for instance a CPU build of torch; may be given more than once
#
# DOCKER names the client. Docker's BuildKit is needed, as part of the engine (DOCKER_BUILDKIT=1) or as buildx.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() { sed -n '2,9p' docker/build.sh >&2; exit 2; }
constant() { sed -nE "s/^$1 = \"?([^\"]+)\"?\$/\1/p" "$2"; }

backend=${1:-}
[ -f "docker/$backend.Dockerfile" ] || usage
shift
docker=${DOCKER:-docker}
version=$(constant __version__ src/pytest_llem/__init__.py)
arguments=(
    --build-arg "PROTOCOL=$(constant PROTOCOL_VERSION src/pytest_llem/runners/messages.py)"
    --build-arg "SCHEMA=$(constant SCHEMA_VERSION src/pytest_llem/results/model.py)"
    --build-arg "VERSION=$version"
)
cuda=$(sed -nE 's/^ARG CUDA=(.+)$/\1/p' "docker/$backend.Dockerfile")
tag=
while [ $# -gt 0 ]; do
    case "$1" in
    --base) arguments+=(--build-arg "BASE_IMAGE=$2"); shift 2 ;;
    --cuda) cuda=$2; shift 2 ;;
    --tag) tag=$2; shift 2 ;;
    --wheels) find "$2" -maxdepth 1 -name '*.whl' -exec cp --link --update -t docker/wheels {} + 2>/dev/null ||
        find "$2" -maxdepth 1 -name '*.whl' -exec cp --update -t docker/wheels {} +
        shift 2 ;;
    --) shift; break ;;
    *) usage ;;
    esac
done
flavour=cuda${cuda%%.*}
[ "$cuda" = none ] && flavour=cpu
tag=${tag:-ghcr.io/pytest-llem/pytest-llem/$backend:$version-$flavour}

DOCKER_BUILDKIT=1 "$docker" build --file "docker/$backend.Dockerfile" --tag "$tag" \
    "${arguments[@]}" --build-arg "CUDA=$cuda" "$@" .
echo "built $tag"
