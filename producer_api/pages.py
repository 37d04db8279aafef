"""What a browser sees: `/`, `/docs` with Swagger UI from the installed files (no CDN), and the icon."""

from importlib.resources import files
from pathlib import Path
from typing import Final

from fastapi import APIRouter, FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.staticfiles import StaticFiles
from starlette.responses import HTMLResponse, RedirectResponse, Response

ASSETS: Final = "/docs-assets"
_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" rx="3" fill="#1f6feb"/>'
    '<path d="M3 5h10M8 5v7" stroke="#fff" stroke-width="2"/></svg>'
)

router = APIRouter(include_in_schema=False)


def mount_assets(app: FastAPI) -> None:
    """Serve the files of Swagger UI from the package that carries them."""
    app.mount(ASSETS, StaticFiles(directory=Path(str(files("fastapi_offline") / "static"))), name="docs-assets")


@router.get("/")
async def index() -> RedirectResponse:
    """Send a browser to the documentation."""
    return RedirectResponse("/docs")


@router.get("/docs")
async def docs() -> HTMLResponse:
    """Show every call, with examples and a way to try it."""
    return get_swagger_ui_html(
        openapi_url="/openapi.json",
        title="tokenflow",
        swagger_js_url=f"{ASSETS}/swagger-ui-bundle.js",
        swagger_css_url=f"{ASSETS}/swagger-ui.css",
        swagger_favicon_url="/favicon.ico",
    )


@router.get("/favicon.ico")
async def favicon() -> Response:
    """Give the browser its icon."""
    return Response(_ICON, media_type="image/svg+xml", headers={"cache-control": "max-age=86400"})
