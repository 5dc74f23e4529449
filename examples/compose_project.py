"""A copy of an example project, as Compose runs it with or without the mesh."""

import http.client
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parent
# Seconds for a project to answer, with a database to be created.
START = 90


@dataclass
class Event:
    """Something that happens under traffic, and what goes before."""

    name: str
    act: Callable
    before: Callable = lambda: None
    # There is no such thing without the mesh.
    of_mesh: bool = False


def until(works, what):
    """Repeats what raises an error, for a while."""
    deadline = time.monotonic() + START
    while True:
        try:
            return works()
        except (OSError, http.client.HTTPException) as error:
            if time.monotonic() > deadline:
                sys.exit(f"{what} does not answer: {error}")
            time.sleep(0.2)


class ComposeProject:
    """The project; its published ports are `ports`."""

    ports = (8188, 8189)

    def __init__(self, harness, example, meshed):
        self.harness, self.meshed = Path(harness).resolve(), meshed
        self.scratch = Path(tempfile.mkdtemp())
        shutil.copytree(EXAMPLES, self.scratch, dirs_exist_ok=True)
        self.directory = self.scratch / example
        self.name = f"{example}-{'with' if meshed else 'without'}-{os.getpid()}"
        ports = {"PORT": self.ports[0], "VOTE_PORT": self.ports[0], "RESULT_PORT": self.ports[1]}
        variables = {name: str(port) for name, port in ports.items()}
        self.environment = {**os.environ, **variables, "COMPOSE_PROJECT_NAME": self.name}

    def run(self, *command):
        """Runs a command in the project's directory; returns its standard output."""
        done = subprocess.run(command, cwd=self.directory, env=self.environment, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{' '.join(map(str, command))}: {done.stderr}{done.stdout}")
        return done.stdout

    def docker(self, *arguments):
        return self.run("docker", *arguments)

    def compose(self, *arguments):
        program = os.environ.get("MESH_COMPOSE", "docker compose").split()
        if not self.meshed:
            files = ["-f", "compose.yaml"]
        elif program == ["docker-compose"]:
            files = ["--project-directory", ".", "-f", ".mesh/compose.yaml"]
        else:
            files = ["-f", "compose.yaml", "-f", ".mesh/override.yaml"]
        return self.run(*program, "-p", self.name, *files, *arguments)

    def up(self):
        if self.meshed:
            self.run(self.harness, "-f", "compose.yaml", "up")
        else:
            self.compose("up", "-d")

    def eject(self):
        self.run(self.harness, "-f", "compose.yaml", "eject")
        self.meshed = False

    def remove(self):
        """Removes what there is, however far it came."""
        if self.meshed:
            subprocess.run([self.harness, "-f", "compose.yaml", "down"], cwd=self.directory, env=self.environment)
            self.meshed = False
        self.unpause()
        self.compose("down", "--volumes")
        shutil.rmtree(self.scratch)

    def containers(self, service):
        labels = {"project": self.name, "service": service}
        filters = [f"--filter=label=com.docker.compose.{key}={value}" for key, value in labels.items()]
        return self.docker("ps", "-q", *filters).split()

    def inspect(self, service, template):
        return self.docker("inspect", "-f", template, *self.containers(service)).split()

    def addresses(self, service):
        return self.inspect(service, "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}")

    def unpause(self):
        project = f"--filter=label=com.docker.compose.project={self.name}"
        if paused := self.docker("ps", "-q", project, "--filter=status=paused").split():
            self.docker("unpause", *paused)

    def recreate(self, service):
        self.compose("up", "-d", "--force-recreate", "--no-deps", service)

    def scale(self, service, count):
        self.compose("up", "-d", "--no-deps", "--no-recreate", "--scale", f"{service}={count}", service)

    def vacate(self, service):
        """Gives a service another address. When it is recreated, it gets the lowest that is free: the one it had."""
        network = f"--network={self.name}_default"
        self.compose("stop", service)
        other = self.docker("run", "-d", network, "mesh-examples-api:1", "sleep", "600").strip()
        self.compose("start", service)
        self.docker("rm", "-f", other)

    def kill_process(self, service):
        """Ends a container's process from outside: unlike after `docker kill`, its restart policy counts."""
        os.kill(int(self.inspect(service, "{{.State.Pid}}")[0]), signal.SIGKILL)
