"""New plugin projects: working code, simulator, tests and docs, written from templates that ship with the gateway."""

from gateway.scaffold.project import Kind, Project, new_project

__all__ = ["Kind", "Project", "new_project"]
