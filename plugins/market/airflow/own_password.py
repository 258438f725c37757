"""The page on which one changes one's own password: it asks for the old one."""

from __future__ import annotations

from typing import Any

from airflow.providers.fab.auth_manager.views.user_edit import CustomResetMyPasswordView
from flask import current_app, g
from flask_appbuilder.fieldwidgets import BS3PasswordFieldWidget
from flask_appbuilder.forms import DynamicForm
from wtforms import Field, PasswordField, ValidationError
from wtforms.validators import DataRequired, EqualTo

from market.people import passwords


class OwnPasswordForm(DynamicForm):
    """The old password, and the new one twice."""

    current_password = PasswordField(
        "Current password", validators=[DataRequired()], widget=BS3PasswordFieldWidget()
    )
    password = PasswordField("New password", validators=[DataRequired()], widget=BS3PasswordFieldWidget())
    conf_password = PasswordField(
        "New password again",
        validators=[DataRequired(), EqualTo("password", message="is not the same")],
        widget=BS3PasswordFieldWidget(),
    )

    def validate_current_password(self, field: Field) -> None:
        """Check the old password; an attempt is counted, as of a login."""
        manager: Any = current_app.extensions["appbuilder"].sm
        found = manager.auth_user_db(g.user.username, field.data, rotate_session_id=False)
        if found is None or found.id != g.user.id:
            raise ValidationError("is wrong")

    def validate_password(self, field: Field) -> None:
        """Check the rule on passwords."""
        if problem := passwords.problem(field.data, g.user.username, g.user.email or ""):
            raise ValidationError(problem)


class OwnPasswordView(CustomResetMyPasswordView):
    """Airflow's page with this form."""

    form = OwnPasswordForm
    form_title = "Change your password"
    message = "Your password is changed. All other sessions and tokens have ended."
