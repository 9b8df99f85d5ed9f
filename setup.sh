#!/bin/sh
# Set-up for `make demo` and `make test`: Debian's libraries where apt may, a .venv, dependencies.
set -eu

purpose=${1:-demo}
python=${PYTHON:-python3}
libraries="libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0"
[ "$purpose" = test ] && libraries="$libraries chromium openssl poppler-utils qpdf webkit2gtk-driver xvfb firefox-esr fonts-noto-cjk postgresql redis-server nginx libnss3-tools"

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || {
  echo "fieldapp needs Python 3.11 or newer: install it, or name it with make PYTHON=…" >&2
  exit 1
}
"$python" -c 'import ensurepip, venv' 2>/dev/null || libraries="$libraries python3-venv"

missing=""
if command -v dpkg-query >/dev/null 2>&1; then
  for library in $libraries; do
    dpkg-query -W -f='${Status}' "$library" 2>/dev/null | grep -q 'ok installed' || missing="$missing $library"
  done
else
  "$python" -c 'import ctypes; [ctypes.CDLL(n) for n in ("libpango-1.0.so.0", "libpangoft2-1.0.so.0", "libharfbuzz-subset.so.0")]' 2>/dev/null || missing=" $libraries"
fi

# Tests start what they need themselves: what comes with a service must not begin to serve.
quiet_install() {
  policy=/usr/sbin/policy-rc.d
  $1 sh -c "[ -e $policy ] || { printf '#!/bin/sh\nexit 101\n' >$policy; chmod +x $policy; touch $policy.fieldapp; }"
  $1 env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null && code=0 || code=$?
  $1 sh -c "[ ! -e $policy.fieldapp ] || rm -f $policy $policy.fieldapp"
  return $code
}

if [ -n "$missing" ]; then
  if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
    echo "installing:$missing"
    apt-get update -qq
    quiet_install ""
  elif command -v apt-get >/dev/null 2>&1 && command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    echo "installing:$missing"
    sudo -n apt-get update -qq
    quiet_install "sudo -n"
  else
    echo "fieldapp needs these system packages; please install them and run make again:$missing" >&2
    exit 1
  fi
fi

[ -x .venv/bin/python ] || "$python" -m venv .venv
if [ "$purpose" = test ]; then
  .venv/bin/python -m pip install -qq --disable-pip-version-check -e '.[test]'
else
  .venv/bin/python -m pip install -qq --disable-pip-version-check -e .
fi
