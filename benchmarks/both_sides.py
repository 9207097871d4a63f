"""Both sides of step 4, for a projector in another process: uvicorn benchmarks.both_sides:app"""

from step_04_full_cqrs.main import command_routes, create_app, query_routes

app = create_app(command_routes, query_routes)
